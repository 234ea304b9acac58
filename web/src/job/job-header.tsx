/** Name, state, progress and the buttons that change them. */
import { useQueryClient } from "@tanstack/react-query";
import { remarkJob } from "../api/client";
import { keys } from "../api/queries";
import type { StreamStatus } from "../api/sse";
import type { Job } from "../api/types";
import { Remarks } from "../remarks/tags";
import { ProgressBar } from "../shell/progress-bar";
import { StateBadge } from "../shell/state-badge";
import { useNow } from "../shell/use-now";
import { integer, percent } from "../text/numbers";
import { duration, moment, secondsBetween, timeLeft } from "../text/time";
import { JobActions } from "./job-actions";
import { startsOf } from "./refined-from";
import { TrialLink } from "./trial-relations";

export function JobHeader({ job, status }: { job: Job; status: StreamStatus }) {
  const cache = useQueryClient();
  return (
    <header className="job-header">
      <title>{`${job.name} · ${job.state} · peftsearch`}</title>
      <div className="job-title">
        <h1>{job.name}</h1>
        <span role="status" className="job-state">
          <StateBadge state={job.state} />
        </span>
        <Connection status={status} over={job.finished_at !== null} />
        <JobActions job={job} />
      </div>
      {job.reason && (
        <p className="reason" role="alert">
          {job.reason}
        </p>
      )}
      <ProgressBar progress={job.progress} label="Progress of the job" />
      <ProgressText job={job} />
      <BeganWith job={job} />
      <Remarks
        about="the job"
        said={job}
        onSave={async (said) => cache.setQueryData(keys.job(job.id), await remarkJob(job.id, said))}
      />
    </header>
  );
}

/** The trials of other jobs that a refine job works on. */
function BeganWith({ job }: { job: Job }) {
  const starts = startsOf(job).filter((id) => id !== null);
  if (starts.length === 0) return null;
  return (
    <p className="facts">
      <span>
        begins with{" "}
        {starts.map((id, at) => (
          <span key={id}>
            {at > 0 && ", "}
            <TrialLink id={id} />
          </span>
        ))}
      </span>
    </p>
  );
}

function ProgressText({ job }: { job: Job }) {
  const now = useNow(1000);
  const { progress } = job;
  const done = progress.completed + progress.stopped + progress.failed;
  const ran = secondsBetween(job.started_at, job.finished_at, now);
  const parts = (["running", "queued", "paused", "stopped", "failed"] as const).filter((state) => progress[state] > 0);
  return (
    <p className="facts">
      <span>
        <strong>{integer(done)}</strong> of {integer(progress.trials_total)} trials
      </span>
      {progress.confirmations && (
        <span>
          <strong>{integer(progress.confirmations.done)}</strong> of {integer(progress.confirmations.total)}{" "}
          confirmations
        </span>
      )}
      {job.finished_at === null && progress.share > 0 && (
        <span title="of all training, open trials and confirmations included">{percent(progress.share)} trained</span>
      )}
      {parts.map((state) => (
        <span key={state} data-fact={state}>
          {integer(progress[state])} {state}
        </span>
      ))}
      {job.objectives.length > 1 && (
        <span>
          <strong>{job.front_size}</strong> on the front
        </span>
      )}
      {ran !== null && <span title={`started ${moment(job.started_at ?? job.created_at)}`}>{duration(ran)}</span>}
      {job.state === "running" && progress.seconds_left !== null && <span>{timeLeft(progress.seconds_left)}</span>}
      <span className="mono" title={`created ${moment(job.created_at)}`}>
        {job.id}
      </span>
    </p>
  );
}

/** Silent about a job that is over, unless the connection is lost. */
function Connection({ status, over }: { status: StreamStatus; over: boolean }) {
  const text = {
    connecting: over ? "" : "connecting…",
    live: over ? "" : "live",
    refused: status.state === "refused" ? `not live: ${status.reason}` : "",
    waiting: status.state === "waiting" ? `reconnecting in ${status.seconds} s: ${status.reason}` : "",
  }[status.state];
  return (
    <span role="status" className="connection" data-state={text && status.state}>
      {text}
    </span>
  );
}
