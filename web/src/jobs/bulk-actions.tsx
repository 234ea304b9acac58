/** What is done to several jobs at once: one after the other, and each says how it went. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { actOnJob, deleteJob, remarkJob } from "../api/client";
import { keys } from "../api/queries";
import type { Job } from "../api/types";
import { tagsIn } from "../remarks/tags";
import { Confirmed } from "../shell/confirmed";
import { comparePath } from "../shell/router";

type Action = "pause" | "resume" | "cancel" | "delete" | "tag";
interface Result {
  job: Job;
  /** Why not; null where it was done. */
  refused: string | null;
}
interface Done {
  action: Action;
  results: Result[];
  /** How many there are to be. */
  of: number;
}

const DONE: Record<Action, string> = {
  pause: "paused",
  resume: "resumed",
  cancel: "cancelled",
  delete: "deleted",
  tag: "tagged",
};

interface Props {
  jobs: readonly Job[];
  onClear: () => void;
}

export function BulkActions({ jobs, onClear }: Props) {
  const cache = useQueryClient();
  const [done, setDone] = useState<Done | null>(null);
  const [tags, setTags] = useState("");
  const busy = done !== null && done.results.length < done.of;
  const run = async (action: Action) => {
    const results: Result[] = [];
    for (const job of jobs) {
      setDone({ action, results: [...results], of: jobs.length });
      try {
        await act(action, job, tagsIn(tags));
        results.push({ job, refused: null });
      } catch (error) {
        results.push({ job, refused: error instanceof Error ? error.message : String(error) });
      }
    }
    setDone({ action, results, of: jobs.length });
    if (results.every(({ refused }) => refused === null)) onClear();
    await cache.invalidateQueries({ queryKey: keys.jobs });
  };
  if (jobs.length === 0 && !done) return null;
  const count = `${jobs.length} ${jobs.length === 1 ? "job" : "jobs"}`;
  return (
    <section className="bulk" aria-label="Selected jobs">
      {jobs.length > 0 && (
        <div className="actions">
          <strong>{count}</strong>
          <a className="button primary" href={comparePath(jobs.map((job) => job.id))}>
            Compare
          </a>
          {(["pause", "resume"] as const).map((action) => (
            <button key={action} type="button" disabled={busy} onClick={() => void run(action)}>
              {capital(action)}
            </button>
          ))}
          <Confirmed
            name="Cancel"
            what={count}
            disabled={busy}
            question={`Cancel ${count}? Running trials stop; finished ones stay.`}
            onConfirm={() => void run("cancel")}
          />
          <Confirmed
            name="Delete"
            what={count}
            disabled={busy}
            question={`Delete ${count} with all of their trials and adapters?`}
            onConfirm={() => void run("delete")}
          />
          <form
            className="inline"
            onSubmit={(event) => {
              event.preventDefault();
              void run("tag");
            }}
          >
            <input
              aria-label="Tags to add, with commas"
              placeholder="Tags"
              value={tags}
              onChange={({ target }) => setTags(target.value)}
            />
            <button type="submit" disabled={busy || tagsIn(tags).length === 0}>
              Tag
            </button>
          </form>
          <button type="button" className="link" onClick={onClear}>
            Clear
          </button>
        </div>
      )}
      {done && <Results done={done} onClose={() => setDone(null)} />}
    </section>
  );
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

async function act(action: Action, job: Job, tags: string[]): Promise<unknown> {
  if (action === "delete") return deleteJob(job.id);
  if (action === "tag") return remarkJob(job.id, { tags: [...job.tags, ...tags] });
  return actOnJob(job.id, action);
}

function Results({ done: { action, results, of }, onClose }: { done: Done; onClose: () => void }) {
  const refused = results.filter((one) => one.refused !== null);
  return (
    <div className="bulk-results">
      <p role="status">
        {results.length < of
          ? `${results.length} of ${of}…`
          : `${results.length - refused.length} of ${of} ${DONE[action]}`}{" "}
        <button type="button" className="link" onClick={onClose}>
          Hide
        </button>
      </p>
      <ul aria-label="How it went">
        {results.map(({ job, refused }) => (
          <li key={job.id} className={refused ? "reason" : "muted"}>
            {job.name}: {refused ?? DONE[action]}
          </li>
        ))}
      </ul>
    </div>
  );
}
