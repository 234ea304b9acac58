/** Pause, resume, extend, change the space, cancel, clone, delete: only what the job's state allows. What cannot be undone asks first. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { actOnJob, changeSpace, deleteJob, extendJob } from "../api/client";
import { keys } from "../api/queries";
import type { Job, JobAction } from "../api/types";
import { ChangeSpace } from "./change-space";
import { ExtendJob } from "./extend-job";
import { isSearch } from "./kind";
import { Confirmed } from "../shell/confirmed";
import { clonePath, navigate } from "../shell/router";

export function JobActions({ job }: { job: Job }) {
  const cache = useQueryClient();
  const act = useMutation({
    mutationFn: (action: JobAction) => actOnJob(job.id, action),
    onSuccess: (changed) => cache.setQueryData(keys.job(job.id), changed),
    onError: () => cache.invalidateQueries({ queryKey: keys.job(job.id) }),
  });
  const remove = useMutation({
    mutationKey: keys.deletion(job.id),
    // What is still on its way would meet a job that is gone.
    onMutate: () => cache.cancelQueries(),
    mutationFn: () => deleteJob(job.id),
    onSuccess: () => {
      navigate("#/");
      void cache.invalidateQueries({ queryKey: keys.jobs });
    },
  });
  const over = job.state === "completed" || job.state === "failed" || job.state === "cancelled";
  const busy = act.isPending || remove.isPending;
  const error = act.error ?? remove.error;
  return (
    <div className="actions">
      {error && (
        <span className="reason" role="alert">
          {error.message}
        </span>
      )}
      {(job.state === "running" || job.state === "queued") && (
        <button type="button" disabled={busy} onClick={() => act.mutate("pause")}>
          Pause
        </button>
      )}
      {job.state === "paused" && (
        <button type="button" className="primary" disabled={busy} onClick={() => act.mutate("resume")}>
          Resume
        </button>
      )}
      {isSearch(job) && (
        <ExtendJob
          what={job.name}
          jobs={[job]}
          disabled={busy}
          onSend={async (more) => cache.setQueryData(keys.job(job.id), await extendJob(job.id, more(job)))}
        />
      )}
      {isSearch(job) && !over && (
        <ChangeSpace
          jobs={[job]}
          disabled={busy}
          onSend={async (patch) => {
            cache.setQueryData(keys.job(job.id), await changeSpace(job.id, patch));
            void cache.invalidateQueries({ queryKey: keys.stages(job.id) });
          }}
        />
      )}
      <a className="button" href={clonePath(job.id)}>
        Clone
      </a>
      {over ? (
        <Confirmed
          name="Delete"
          what="job"
          disabled={busy}
          question={`Delete ${job.name} with all of its trials and adapters?`}
          onConfirm={() => remove.mutate()}
        />
      ) : (
        <Confirmed
          name="Cancel"
          what="job"
          disabled={busy}
          question={`Cancel ${job.name}? Running trials stop; finished ones stay.`}
          onConfirm={() => act.mutate("cancel")}
        />
      )}
    </div>
  );
}
