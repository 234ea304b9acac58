/** A few trials side by side. */
import type { Job, MetricInfo, Trial } from "../api/types";
import { setQuery } from "../shell/router";
import { StateBadge } from "../shell/state-badge";
import { configValue } from "../text/config";
import { metricValue } from "../text/numbers";
import { compare, type ComparedRow, toggleNumber } from "./comparison";
import { ReferenceMark } from "./trial-marks";

interface Props {
  job: Job;
  trials: readonly Trial[];
  metrics: ReadonlyMap<string, MetricInfo>;
  chosen: string | null;
  onSelect: (number: number) => void;
}

export function ComparePanel({ job, trials, metrics, chosen, onSelect }: Props) {
  const rows = compare(
    trials,
    job.objectives.map((one) => one.metric),
  );
  const same = rows.filter((row) => !row.differs);
  if (trials.length === 0)
    return <p className="empty muted">Open a trial and press “Compare”: the trials chosen stand here side by side.</p>;
  return (
    <div className="comparison">
      <div className="table-frame">
        <table aria-label="Compared trials">
          <thead>
            <tr>
              <th scope="col">where they differ</th>
              {trials.map((trial) => (
                <th key={trial.id} scope="col">
                  <button type="button" className="link" onClick={() => onSelect(trial.number)}>
                    Trial {trial.number}
                  </button>{" "}
                  <StateBadge state={trial.state} /> <ReferenceMark trial={trial} />
                  <button
                    type="button"
                    className="small"
                    aria-label={`Leave out trial ${trial.number}`}
                    onClick={() => setQuery({ compare: toggleNumber(chosen, trial.number) })}
                  >
                    ×
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <Rows rows={rows.filter((row) => row.differs)} metrics={metrics} />
        </table>
      </div>
      {same.length > 0 && trials.length > 1 && (
        <details>
          <summary>The same in all: {same.map((row) => row.name).join(", ")}</summary>
          <table aria-label="What the trials have in common">
            <Rows rows={same.map((row) => ({ ...row, values: row.values.slice(0, 1) }))} metrics={metrics} />
          </table>
        </details>
      )}
    </div>
  );
}

function Rows({ rows, metrics }: { rows: readonly ComparedRow[]; metrics: ReadonlyMap<string, MetricInfo> }) {
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
