/** A few trials side by side. */
import type { Job, MetricInfo, Trial } from "../api/types";
import { setQuery } from "../shell/router";
import { StateBadge } from "../shell/state-badge";
import { ComparedRows, Same } from "./compared-rows";
import { compare, toggleNumber } from "./comparison";
import { ReferenceMark } from "./trial-marks";
import { TableFrame } from "../shell/table-frame";

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
      <TableFrame>
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
          <ComparedRows rows={rows.filter((row) => row.differs)} metrics={metrics} />
        </table>
      </TableFrame>
      {trials.length > 1 && <Same rows={same} what="trials" metrics={metrics} />}
    </div>
  );
}
