/** What jobs reached and spent, and where their specs differ. */
import type { MetricInfo } from "../api/types";
import { ComparedRows, Same } from "../job/compared-rows";
import { compareFields } from "../job/comparison";
import { jobPath } from "../shell/router";
import { StateBadge } from "../shell/state-badge";
import { useNow } from "../shell/use-now";
import { integer, metricValue } from "../text/numbers";
import { duration, secondsBetween } from "../text/time";
import type { Compared } from "./compare-jobs-page";
import { TableFrame } from "../shell/table-frame";

interface Props {
  compared: readonly Compared[];
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function JobsFacts({ compared, metrics }: Props) {
  const now = useNow(1000);
  const rows = compareFields(compared.map(({ job: { spec } }) => ({ ...spec, name: null }))).filter(
    (row) => row.name !== "name",
  );
  const objectives = [...new Set(compared.flatMap(({ job }) => job.objectives.map(({ metric }) => metric)))];
  return (
    <div className="comparison">
      <TableFrame>
        <table aria-label="Compared jobs">
          <thead>
            <tr>
              <th scope="col">job</th>
              {compared.map(({ job }) => (
                <th key={job.id} scope="col">
                  <a href={jobPath(job.id)}>{job.name}</a> <StateBadge state={job.state} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {objectives.map((metric) => (
              <Fact
                key={metric}
                name={`best ${metric}`}
                of={compared}
                say={({ job }) => metricValue(job.best[metric], metrics.get(metric)?.unit)}
              />
            ))}
            <Fact name="on the front" of={compared} say={({ job }) => integer(job.front_size)} />
            <Fact
              name="trials"
              of={compared}
              say={({ job: { progress } }) =>
                `${integer(progress.completed + progress.stopped + progress.failed)} of ${integer(progress.trials_total)}`
              }
            />
            <Fact
              name="failed or stopped"
              of={compared}
              say={({ job: { progress } }) => integer(progress.failed + progress.stopped)}
            />
            <Fact name="by the clock" of={compared} say={({ job }) => clockOf(job, now)} />
            <Fact name="of training" of={compared} say={({ trials }) => duration(trained(trials))} />
            <Fact name="tags" of={compared} say={({ job }) => job.tags.join(", ") || "–"} />
            <Fact name="note" of={compared} say={({ job }) => job.note ?? "–"} />
          </tbody>
          {compared.length > 1 && (
            <tbody>
              <tr>
                <th scope="colgroup" colSpan={compared.length + 1}>
                  where their specs differ
                </th>
              </tr>
            </tbody>
          )}
          <ComparedRows rows={rows.filter((row) => row.differs)} metrics={none} />
        </table>
      </TableFrame>
      {compared.length > 1 && <Same rows={rows.filter((row) => !row.differs)} what="specs" metrics={none} />}
    </div>
  );
}

/** Values of a spec are shown as they are written. */
const none: ReadonlyMap<string, MetricInfo> = new Map();

function Fact({ name, of, say }: { name: string; of: readonly Compared[]; say: (one: Compared) => string }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      {of.map((one) => (
        <td key={one.job.id}>{say(one)}</td>
      ))}
    </tr>
  );
}

function clockOf({ started_at, finished_at }: Compared["job"], now: number): string {
  const ran = secondsBetween(started_at, finished_at, now);
  return ran === null ? "–" : duration(ran);
}

/** Seconds of all trials; those that failed tell of none. */
const trained = (trials: Compared["trials"]): number =>
  trials.reduce((sum, trial) => sum + (trial.metrics["train_seconds"] ?? 0), 0);
