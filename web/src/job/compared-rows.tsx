/** What is compared, line by line: first where it differs, then what is the same in all. */
import type { MetricInfo } from "../api/types";
import { configValue } from "../text/config";
import { metricValue } from "../text/numbers";
import type { ComparedRow } from "./comparison";

interface Props {
  rows: readonly ComparedRow[];
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function ComparedRows({ rows, metrics }: Props) {
  return (
    <tbody>
      {rows.map(({ name, kind, values }) => (
        <tr key={`${kind} ${name}`}>
          <th scope="row" className="mono">
            {name}
          </th>
          {values.map((value, at) => (
            <td key={at} className={typeof value === "number" ? "number" : undefined}>
              {kind === "metric"
                ? metricValue(value as number | undefined, metrics.get(name)?.unit)
                : value === undefined
                  ? "–"
                  : configValue(value)}
            </td>
          ))}
        </tr>
      ))}
    </tbody>
  );
}

/** `what` is the noun for that which is compared. */
export function Same({ rows, what, metrics }: Props & { what: string }) {
  if (rows.length === 0) return null;
  return (
    <details>
      <summary>The same in all: {rows.map((row) => row.name).join(", ")}</summary>
      <table aria-label={`What the ${what} have in common`}>
        <ComparedRows rows={rows.map((row) => ({ ...row, values: row.values.slice(0, 1) }))} metrics={metrics} />
      </table>
    </details>
  );
}
