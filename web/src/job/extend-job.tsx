/** More trials, and more time where it is limited, for searches that are under way or over. */
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import type { ExtendRequest } from "../api/openapi";
import type { Job, Json } from "../api/types";
import { DialogForm } from "../shell/dialog-form";

/** What the first press of the button offers. */
const TRIALS = 20;

interface Props {
  /** To whom they are given, such as the name of a job or `3 jobs`. */
  what: string;
  jobs: readonly Job[];
  disabled: boolean;
  /** The dialog stays until it is done, and says what went wrong. */
  onSend: (more: (job: Job) => ExtendRequest) => Promise<unknown>;
}

export function ExtendJob({ what, jobs, disabled, onSend }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [trials, setTrials] = useState(String(TRIALS));
  const [minutes, setMinutes] = useState("");
  const limited = jobs.filter(isLimited).length;
  const extend = useMutation({
    mutationFn: () =>
      onSend((job) => ({
        trials: Number(trials),
        ...(minutes && isLimited(job) ? { wall_clock: 60 * Number(minutes) } : {}),
      })),
    onSuccess: () => dialog.current?.close(),
  });
  const several = jobs.length > 1;
  return (
    <>
      <button type="button" disabled={disabled} onClick={() => dialog.current?.showModal()}>
        Extend
      </button>
      <DialogForm
        dialog={dialog}
        label="Extend"
        send={several ? `Extend ${what}` : "Extend job"}
        sending={extend.isPending}
        problem={extend.error?.message}
        onSend={() => extend.mutate()}
        onClose={() => extend.reset()}
      >
        <p>
          {what} {several ? "go on with more trials each; what they have" : "goes on with more trials; what it has"}{" "}
          measured stays.
        </p>
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
        {limited > 0 && (
          <label className="field">
            Minutes to add{limited < jobs.length && ` (to the ${limited} whose time is limited)`}
            <input type="number" min={1} value={minutes} onChange={({ target }) => setMinutes(target.value)} />
          </label>
        )}
      </DialogForm>
    </>
  );
}

/** Whether its time is limited, so that more of it can be given. */
function isLimited({ spec }: Job): boolean {
  const budget = spec["budget"] as { [key: string]: Json } | undefined;
  return typeof budget?.["wall_clock"] === "number";
}
