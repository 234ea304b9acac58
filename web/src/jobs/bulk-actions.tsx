/** What is done to several jobs at once: one after the other, and each says how it went. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { actOnJob, changeSpace, deleteJob, extendJob, remarkJob } from "../api/client";
import { keys } from "../api/queries";
import type { Job } from "../api/types";
import { ChangeSpace } from "../job/change-space";
import { ExtendJob } from "../job/extend-job";
import { isSearch } from "../job/kind";
import { wordsOf } from "../job/refusal";
import { tagsIn } from "../remarks/tags";
import { Confirmed } from "../shell/confirmed";
import { clonePath, comparePath } from "../shell/router";

type Action = "pause" | "resume" | "cancel" | "delete" | "tag" | "extend" | "space";
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
  extend: "extended",
  space: "changed",
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
  const run = async (action: Action, act: (job: Job) => Promise<unknown>) => {
    const results: Result[] = [];
    for (const job of jobs) {
      setDone({ action, results: [...results], of: jobs.length });
      try {
        await act(job);
        results.push({ job, refused: null });
      } catch (error) {
        results.push({ job, refused: wordsOf(error) });
      }
    }
    setDone({ action, results, of: jobs.length });
    if (results.every(({ refused }) => refused === null)) onClear();
    await cache.invalidateQueries({ queryKey: keys.jobs });
  };
  if (jobs.length === 0 && !done) return null;
  const only = jobs.length === 1 ? jobs[0] : undefined;
  const searching = jobs.some(isSearch);
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
            <button
              key={action}
              type="button"
              disabled={busy}
              onClick={() => void run(action, ({ id }) => actOnJob(id, action))}
            >
              {capital(action)}
            </button>
          ))}
          {searching && (
            <ExtendJob
              what={count}
              jobs={jobs}
              disabled={busy}
              onSend={async (more) => void run("extend", (job) => extendJob(job.id, more(job)))}
            />
          )}
          {searching && (
            <ChangeSpace
              jobs={jobs}
              disabled={busy}
              onSend={async (patch) => void run("space", ({ id }) => changeSpace(id, patch))}
            />
          )}
          {only && (
            <a className="button" href={clonePath(only.id)}>
              Clone
            </a>
          )}
          <Confirmed
            name="Cancel"
            what={count}
            disabled={busy}
            question={`Cancel ${count}? Running trials stop; finished ones stay.`}
            onConfirm={() => void run("cancel", ({ id }) => actOnJob(id, "cancel"))}
          />
          <Confirmed
            name="Delete"
            what={count}
            disabled={busy}
            question={`Delete ${count} with all of their trials and adapters?`}
            onConfirm={() => void run("delete", ({ id }) => deleteJob(id))}
          />
          <form
            className="inline"
            onSubmit={(event) => {
              event.preventDefault();
              void run("tag", (job) => remarkJob(job.id, { tags: [...job.tags, ...tagsIn(tags)] }));
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
