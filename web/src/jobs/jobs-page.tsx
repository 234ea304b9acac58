/** All jobs, newest first. */
import type { Job } from "../api/types";
import { useJobs, useMetrics } from "../api/queries";
import { Failure } from "../shell/failure";
import { ProgressBar } from "../shell/progress-bar";
import { jobPath } from "../shell/router";
import { StateBadge } from "../shell/state-badge";
import { useNow } from "../shell/use-now";
import { integer, metricValue, percent } from "../text/numbers";
import { age, moment, timeLeft } from "../text/time";

export function JobsPage() {
  const jobs = useJobs();
  if (jobs.isPending)
    return (
      <p className="page muted" role="status">
        Loading jobs…
      </p>
    );
  if (jobs.isError && !jobs.data) return <Failure error={jobs.error} what="Jobs" />;
  const items = jobs.data.pages.flatMap((page) => page.items);
  return (
    <div className="page">
      <title>Jobs · peftsearch</title>
      <div className="page-head">
        <h1>Jobs</h1>
        {jobs.isError && (
          <p className="stale" role="status">
            Not current: {jobs.error.message}. Trying again…
          </p>
        )}
        <a className="button primary" href="#/new">
          New job
        </a>
      </div>
      {items.length === 0 ? <Empty /> : <JobsTable jobs={items} />}
      {jobs.hasNextPage && (
        <button
          type="button"
          className="more"
          disabled={jobs.isFetchingNextPage}
          onClick={() => void jobs.fetchNextPage()}
        >
          Show older jobs
        </button>
      )}
    </div>
  );
}

function Empty() {
  return (
    <div className="empty">
      <p>No jobs yet.</p>
      <p className="muted">
        <a href="#/new">Write one here</a>, or submit a file:{" "}
        <code>peftsearch submit examples/quickstart.yaml --watch</code>
      </p>
    </div>
  );
}

function JobsTable({ jobs }: { jobs: Job[] }) {
  const now = useNow(10_000);
  return (
    <div className="table-frame">
      <table className="jobs">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">State</th>
            <th scope="col">Progress</th>
            <th scope="col">Best</th>
            <th scope="col" className="number">
              Front
            </th>
            <th scope="col" className="number">
              Created
            </th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <JobRow key={job.id} job={job} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function JobRow({ job, now }: { job: Job; now: number }) {
  const { progress } = job;
  const done = progress.completed + progress.stopped + progress.failed;
  return (
    <tr>
      <th scope="row">
        <a href={jobPath(job.id)}>{job.name}</a>
        <span className="sub">{describe(job)}</span>
      </th>
      <td>
        <StateBadge state={job.state} />
      </td>
      <td className="progress-cell">
        <ProgressBar progress={progress} label={`Progress of ${job.name}`} />
        <span className="sub">
          {integer(done)} of {integer(progress.trials_total)}
          {progress.confirmations &&
            `, ${progress.confirmations.done} of ${progress.confirmations.total} confirmations`}
          {job.state === "running" && progress.share > 0 && ` · ${percent(progress.share)} trained`}
          {job.state === "running" && progress.seconds_left !== null && ` · ${timeLeft(progress.seconds_left)}`}
          {job.reason && ` · ${job.reason}`}
        </span>
      </td>
      <td>
        <BestValues job={job} />
      </td>
      <td className="number" data-label="Front">
        {job.objectives.length > 1 ? job.front_size : "–"}
      </td>
      <td className="number muted" data-label="Created" title={moment(job.created_at)}>
        {age(job.created_at, now)}
      </td>
    </tr>
  );
}

/** What one trial reached: the one that leads by the first objective. */
function BestValues({ job }: { job: Job }) {
  const metrics = useMetrics();
  return (
    <dl className="best-values" title={job.best_trial ? `trial ${numberOf(job.best_trial)}` : undefined}>
      {job.objectives.map(({ metric, direction }) => (
        <div key={metric}>
          <dt>
            {direction === "maximize" ? "↑" : "↓"} {metric}
          </dt>
          <dd>{metricValue(job.best[metric], metrics.get(metric)?.unit)}</dd>
        </div>
      ))}
    </dl>
  );
}

const numberOf = (trialId: string): string => trialId.slice(trialId.lastIndexOf("-") + 1);

/** `builtin:minilm · lora space`. */
function describe({ spec }: Job): string {
  const task = spec.task as { model?: string } | undefined;
  const space = spec.space as { preset?: string | null; method?: string | null } | undefined;
  return [task?.model, space?.preset ?? space?.method].filter(Boolean).join(" · ");
}
