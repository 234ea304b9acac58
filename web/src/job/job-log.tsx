/** What happened to the job, newest first. */
import { useLog, type LogEntry } from "../api/queries";
import { numberOf } from "../api/trial-set";
import type { Job } from "../api/types";
import { clock } from "../text/time";
import { configValue } from "../text/config";
import type { Json } from "../api/types";

/** Shown by the first column and the link; the rest of a payload is the message. */
const known = new Set(["job_id", "trial_id", "number", "created_at"]);

export function JobLog({ job, onSelect }: { job: Job; onSelect: (number: number) => void }) {
  const { data: entries } = useLog(job.id);
  if (entries.length === 0) return <p className="empty muted">Nothing has happened since this page was opened.</p>;
  return (
    <ol className="log" aria-label="Events, newest first" tabIndex={0}>
      {[...entries].reverse().map((entry) => <Entry key={entry.id} entry={entry} onSelect={onSelect} />)}
    </ol>
  );
}

function Entry({ entry, onSelect }: { entry: LogEntry; onSelect: (number: number) => void }) {
  const { payload } = entry;
  const trial = typeof payload.trial_id === "string" ? numberOf(payload.trial_id) : null;
  const rest = Object.entries(payload).filter(([name, value]) => !known.has(name) && value !== null);
  return (
    <li data-kind={entry.kind}>
      <time>{typeof payload.created_at === "string" ? clock(payload.created_at) : ""}</time>
      <span className="kind">{entry.kind}</span>
      {trial !== null && (
        <button type="button" className="link" onClick={() => onSelect(trial)}>trial {trial}</button>
      )}
      <span className="message">{rest.map(([name, value]) => `${name}: ${configValue(value as Json)}`).join(" · ")}</span>
    </li>
  );
}
