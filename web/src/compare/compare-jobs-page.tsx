/** Jobs side by side: their fronts in one chart, what they had found for what they had spent, and where they differ. */
import { useMemo } from "react";
import { useLiveJob } from "../api/live";
import { useJobsOf, useMetrics, useParetoOfAll } from "../api/queries";
import { useTrialsOfAll } from "../api/trials";
import type { Job, Trial } from "../api/types";
import { useTheme } from "../charts/theme";
import { Failure } from "../shell/failure";
import { comparePath, jobPath } from "../shell/router";
import { JobsCourse } from "./jobs-course";
import { JobsCurves } from "./jobs-curves";
import { JobsFacts } from "./jobs-facts";
import { JobsFront } from "./jobs-front";
import { type Look, lookOf, MOST } from "../charts/looks";
import { DASHES } from "../charts/line-key";

/** A job with all that is compared. */
export interface Compared {
  job: Job;
  trials: readonly Trial[];
  front: readonly Trial[];
  look: Look;
}

/** A browser keeps few connections to a server open, and each job that is followed takes one. */
const FOLLOWED = 3;

export function CompareJobsPage({ ids: asked }: { ids: readonly string[] }) {
  const ids = [...new Set(asked)].slice(0, MOST);
  const theme = useTheme();
  const metrics = useMetrics();
  const jobs = useJobsOf(ids);
  const trials = useTrialsOfAll(ids);
  const fronts = useParetoOfAll(ids);
  const failed = jobs.find((one) => one.error && !one.data);
  const all = ids.flatMap((_, at): Compared[] => {
    const job = jobs[at]?.data;
    if (!job) return [];
    return [{ job, trials: trials[at]?.data ?? [], front: fronts[at]?.data?.items ?? [], look: lookOf(at, theme) }];
  });
  // The charts are drawn anew when something of it has changed, not whenever the page is.
  const parts = all.flatMap(({ job, trials, front, look }) => [job, trials, front, look.color]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `parts` is what `all` is made of
  const compared = useMemo(() => all, [parts.length, ...parts]);
  if (failed?.error) return <Failure error={failed.error} what="One of the jobs" />;
  if (ids.length === 0)
    return (
      <p className="page empty muted">
        Select jobs in <a href="#/">the list</a> and press “Compare”.
      </p>
    );
  const loading = jobs.some((one) => one.isPending) || trials.some((one) => one.isPending);
  return (
    <div className="page compare-jobs">
      <title>Jobs compared · peftsearch</title>
      <div className="page-head">
        <h1>Jobs compared</h1>
        {loading && (
          <span className="muted" role="status">
            Loading…
          </span>
        )}
      </div>
      {compared
        .filter(({ job }) => job.finished_at === null)
        .slice(0, FOLLOWED)
        .map(({ job }) => (
          <Follower key={job.id} id={job.id} />
        ))}
      <ul className="legend">
        {compared.map(({ job, look }) => (
          <li key={job.id}>
            <Mark look={look} />
            <a href={jobPath(job.id)}>{job.name}</a>
            <a
              className="button small"
              aria-label={`Leave out ${job.name}`}
              href={comparePath(ids.filter((id) => id !== job.id))}
            >
              ×
            </a>
          </li>
        ))}
      </ul>
      <div className="panels">
        <JobsFront compared={compared} metrics={metrics} />
        <JobsCourse compared={compared} metrics={metrics} />
        <JobsCurves compared={compared} metrics={metrics} />
      </div>
      <JobsFacts compared={compared} metrics={metrics} />
    </div>
  );
}

function Follower({ id }: { id: string }) {
  useLiveJob(id);
  return null;
}

const SHAPES: Record<Look["symbol"], string> = {
  circle: "M8 3a5 5 0 1 0 .01 0z",
  diamond: "M8 2l6 6-6 6-6-6z",
  triangle: "M8 3l6 10H2z",
  rect: "M3 3h10v10H3z",
};

function Mark({ look }: { look: Look }) {
  return (
    <svg viewBox="0 0 40 16" width="40" height="16" aria-hidden="true">
      <path d="M16 8h24" stroke={look.color} strokeWidth="2" strokeDasharray={DASHES[look.dashes]} />
      <path d={SHAPES[look.symbol]} fill={look.color} />
    </svg>
  );
}
