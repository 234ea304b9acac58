/** All jobs, newest first, or those that are searched for. */
import { useState } from "react";
import { useJobs } from "../api/queries";
import { Failure } from "../shell/failure";
import { useRoute } from "../shell/router";
import { BulkActions } from "./bulk-actions";
import { choiceIn, isChosen, JobsFilter } from "./jobs-filter";
import { JobsTable } from "./jobs-table";

export function JobsPage() {
  const { query } = useRoute();
  const choice = choiceIn(query);
  const jobs = useJobs(choice);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  if (jobs.isPending)
    return (
      <p className="page muted" role="status">
        Loading jobs…
      </p>
    );
  if (jobs.isError && !jobs.data) return <Failure error={jobs.error} what="Jobs" />;
  const items = jobs.data.pages.flatMap((page) => page.items);
  const searched = isChosen(choice);
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
      {(items.length > 0 || searched) && <JobsFilter choice={choice} known={tagsOf(items)} />}
      <BulkActions jobs={items.filter((job) => selected.has(job.id))} onClear={() => setSelected(new Set())} />
      {items.length > 0 && <JobsTable jobs={items} selected={selected} onSelect={setSelected} />}
      {items.length === 0 && (searched ? <p className="empty muted">No job is like that.</p> : <Empty />)}
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

const tagsOf = (jobs: readonly { tags: string[] }[]): string[] => [...new Set(jobs.flatMap((job) => job.tags))].sort();

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
