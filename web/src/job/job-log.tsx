/** What happened to the job, newest first. */
import { type LogEntry, useLog } from "../api/queries";
import { numberOf } from "../api/trial-set";
import type { Job } from "../api/types";
import { clock, moment } from "../text/time";
import { logMessage } from "./log-message";

export function JobLog({ job, onSelect }: { job: Job; onSelect: (number: number) => void }) {
  const { data: entries } = useLog(job.id);
  if (entries.length === 0) return <p className="empty muted">Nothing has happened yet.</p>;
  return (
    <ol className="log" aria-label="Events, newest first" tabIndex={0}>
      {entries.toReversed().map((entry) => (
        <Entry key={entry.id} entry={entry} job={job} onSelect={onSelect} />
      ))}
    </ol>
  );
}

function Entry({ entry, job, onSelect }: { entry: LogEntry; job: Job; onSelect: (number: number) => void }) {
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
      {trial !== null && (
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
