/** More trials, and more time where it is limited, for a search that is under way or over. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { extendJob } from "../api/client";
import { keys } from "../api/queries";
import type { Job, Json } from "../api/types";
import { DialogForm } from "../shell/dialog-form";

/** What the first press of the button offers. */
const TRIALS = 20;

export function ExtendJob({ job, disabled }: { job: Job; disabled: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const cache = useQueryClient();
  const [trials, setTrials] = useState(String(TRIALS));
  const [minutes, setMinutes] = useState("");
  const budget = job.spec["budget"] as { [key: string]: Json } | undefined;
  const limited = typeof budget?.["wall_clock"] === "number";
  const extend = useMutation({
    mutationFn: () =>
      extendJob(job.id, { trials: Number(trials), ...(minutes ? { wall_clock: 60 * Number(minutes) } : {}) }),
    onSuccess: (changed) => {
      cache.setQueryData(keys.job(job.id), changed);
      dialog.current?.close();
    },
  });
  return (
    <>
      <button type="button" disabled={disabled} onClick={() => dialog.current?.showModal()}>
        Extend
      </button>
      <DialogForm
        dialog={dialog}
        label="Extend"
        send="Extend job"
        sending={extend.isPending}
        problem={extend.error?.message}
        onSend={() => extend.mutate()}
        onClose={() => extend.reset()}
      >
        <p>{job.name} goes on with more trials; what it has measured stays.</p>
        <label className="field">
          Trials to add
          <input
            type="number"
            min={1}
            step={1}
            required
            value={trials}
            onChange={({ target }) => setTrials(target.value)}
          />
        </label>
        {limited && (
          <label className="field">
            Minutes to add
            <input type="number" min={1} value={minutes} onChange={({ target }) => setMinutes(target.value)} />
          </label>
        )}
      </DialogForm>
    </>
  );
}
