/** What a trial came from and what became of it: its confirmation, the jobs that refined it, the jobs that could follow. */
import { useQuery } from "@tanstack/react-query";
import { listUses } from "../api/client";
import { useConfirmation } from "../api/queries";
import type { Confirmation, Job, MetricInfo, Trial } from "../api/types";
import { jobPath, setQuery, trialPath } from "../shell/router";
import { StateBadge } from "../shell/state-badge";
import { EstimateText } from "./estimate";
import { isSearch } from "./kind";
import { sourcesOf } from "./refined-from";

interface Props {
  job: Job;
  trial: Trial;
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function TrialRelations({ job, trial, metrics }: Props) {
  return (
    <>
      <CameFrom job={job} trial={trial} />
      {job.spec["confirm"] && <Confirmed {...{ job, trial, metrics }} />}
      {trial.has_adapter && <Uses trial={trial} />}
      {isSearch(job) && (
        <section>
          <h3>Go on from it</h3>
          <p className="actions">
            <a className="button small" href={`#/new?trial=${trial.id}&how=again`}>
              Run again with another seed
            </a>
            <a className="button small" href={`#/new?trial=${trial.id}&how=around`}>
              Search around it
            </a>
          </p>
        </section>
      )}
    </>
  );
}

/** In a refine job: the adapters that it began with, in this job or another. */
function CameFrom({ job, trial }: { job: Job; trial: Trial }) {
  const sources = sourcesOf(job, trial);
  if (sources.length === 0) return null;
  return (
    <section>
      <h3>Came from</h3>
      <p>
        {sources.map((id, at) => (
          <span key={id}>
            {at > 0 && ", "}
            <TrialLink id={id} />
          </span>
        ))}
      </p>
    </section>
  );
}

export function TrialLink({ id }: { id: string }) {
  return (
    <a className="mono" href={trialPath(id)}>
      {id}
    </a>
  );
}

function Confirmed({ job, trial, metrics }: Props) {
  const { data } = useConfirmation(job, job.progress.confirmations !== null);
  const found = data?.items.find((item) => item.trial.id === trial.id);
  if (!data || !found) return null;
  return (
    <section>
      <h3>
        Confirmed
        <button type="button" className="small" onClick={() => setQuery({ tab: "confirmed" })}>
          Beside the others
        </button>
      </h3>
      <p className="muted">
        With {data.seeds} fresh seeds, measured on the {data.split} rows:
      </p>
      <ul>
        {found.objectives.map((one) => (
          <li key={one.metric}>
            <Outcome one={one} unit={metrics.get(one.metric)?.unit} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Outcome({
  one,
  unit,
}: {
  one: Confirmation["items"][number]["objectives"][number];
  unit: string | undefined;
}) {
  return (
    <>
      <span className="mono">{one.metric}</span>{" "}
      {one.confirmed ? <EstimateText estimate={one.confirmed} unit={unit} /> : `${one.seeds} so far`}
    </>
  );
}

function Uses({ trial }: { trial: Trial }) {
  const { data } = useQuery({ queryKey: ["uses", trial.id], queryFn: ({ signal }) => listUses(trial.id, signal) });
  if (!data || data.length === 0) return null;
  return (
    <section>
      <h3>Refined in</h3>
      <ul aria-label="Refined in">
        {data.map(({ job_id, name, state, number }) => (
          <li key={job_id}>
            <a href={`${jobPath(job_id)}?trial=${number}`}>{name}</a> <StateBadge state={state} />
          </li>
        ))}
      </ul>
    </section>
  );
}
