/** One of the jobs that a question can be asked of, and what is asked of it. */
import type { ReactNode } from "react";
import { EVERY, useJobs } from "../api/queries";
import type { Job } from "../api/types";
import { Choice } from "../shell/choice";
import { Failure } from "../shell/failure";
import { setQuery, useRoute } from "../shell/router";

/** `fits` tells the jobs to choose from, `none` what to say where there are none, `children` what follows the choice. */
export function JobChoice({
  fits,
  none,
  children,
}: {
  fits: (job: Job) => boolean;
  none: ReactNode;
  children: (job: Job) => ReactNode;
}) {
  const { query } = useRoute();
  const jobs = useJobs(EVERY);
  if (jobs.isError && !jobs.data) return <Failure error={jobs.error} what="Jobs" />;
  if (!jobs.data)
    return (
      <p className="muted" role="status">
        Loading…
      </p>
    );
  const fitting = jobs.data.pages.flatMap((page) => page.items).filter(fits);
  const job = fitting.find((one) => one.id === query.get("job")) ?? fitting[0];
  if (!job) return <p className="empty">{none}</p>;
  return (
    <>
      <Choice
        label="Job"
        value={job.id}
        options={fitting.map((one) => [one.id, one.name] as const)}
        onChange={(id) => setQuery({ job: id })}
      />
      {children(job)}
    </>
  );
}
