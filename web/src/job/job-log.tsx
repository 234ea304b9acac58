/** What happened to the job, newest first. */
import { type LogEntry, useLog } from "../api/queries";
import { numberOf } from "../api/trial-set";
import type { Job } from "../api/types";
import { clock, moment } from "../text/time";
import { logMessage } from "./log-message";

export function JobLog({ job, onSelect }: { job: Job; onSelect: (number: number) => void }) {
  const { data: entries } = useLog(job.id);
  return <Entries {...{ job, entries, onSelect }} />;
}

/** What the page has heard of one trial. */
export function TrialLog({ job, trialId }: { job: Job; trialId: string }) {
  const { data } = useLog(job.id);
  const entries = data.filter(({ payload }) => payload.trial_id === trialId);
  if (entries.length === 0)
    return <p className="muted">What happened to it is further back than the newest events of the job.</p>;
  return <Entries {...{ job, entries }} />;
}

function Entries({ job, entries, onSelect }: EntriesProps) {
  if (entries.length === 0) return <p className="empty muted">Nothing has happened yet.</p>;
  const label = onSelect ? "Events, newest first" : "Events of the trial, newest first";
  return (
    <ol className="log" aria-label={label} tabIndex={0}>
      {entries.toReversed().map((entry) => (
        <Entry key={entry.id} entry={entry} job={job} {...(onSelect ? { onSelect } : {})} />
      ))}
    </ol>
  );
}

interface EntriesProps {
  job: Job;
  entries: readonly LogEntry[];
  /** Opens a trial; without it the entries are those of one. */
  onSelect?: (number: number) => void;
}

function Entry({ entry, job, onSelect }: Omit<EntriesProps, "entries"> & { entry: LogEntry }) {
  const { kind, payload } = entry;
  const trial = typeof payload.trial_id === "string" ? numberOf(payload.trial_id) : null;
  const at = typeof payload.created_at === "string" ? payload.created_at : null;
  const message = logMessage(kind, payload, job.objectives);
  return (
    <li data-kind={kind}>
      {at ? (
        <time dateTime={at} title={moment(at)}>
          {clock(at)}
        </time>
      ) : (
        <span />
      )}
      <span className="kind">{kind}</span>
      {trial !== null && onSelect && (
        <button type="button" className="link" onClick={() => onSelect(trial)}>
          trial {trial}
        </button>
      )}
      <span className="message" title={message}>
        {message}
      </span>
    </li>
  );
}
