/** What a law answers: numbers with units and intervals, where they come from and where they hold. */
import type { Prediction } from "../api/asking";
import { percent, short } from "../text/numbers";
import { TableFrame } from "../shell/table-frame";

/** The unit of what has none. */
const DIMENSIONLESS = "1";

const quantity = (value: unknown): string => (typeof value === "number" ? short(value) : "–");

export function PredictionTable({ found }: { found: Prediction }) {
  return (
    <>
      <TableFrame>
        <table aria-label="Prediction">
          <tbody>
            {Object.entries(found.units).map(([name, unit]) => {
              const interval = found.intervals[name];
              return (
                <tr key={name}>
                  <th scope="row" className="mono">
                    {name}
                  </th>
                  <td className="number">
                    {quantity(found[name])} {unit !== DIMENSIONLESS && <span className="muted">{unit}</span>}
                  </td>
                  <td className="number muted">
                    {interval && `${short(interval.low)} to ${short(interval.high)} with ${percent(interval.level)}`}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </TableFrame>
      {found.warnings.map((warning) => (
        <p key={warning} className="stale">
          {warning}
        </p>
      ))}
      <p className="muted">
        {found.standing}: {found.source}
      </p>
      <p className="muted">Holds for {found.valid_for}</p>
    </>
  );
}
