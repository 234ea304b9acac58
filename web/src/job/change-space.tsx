/** The space of a search that goes on: its section as text, narrowed, frozen or widened. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { ApiError, changeSpace } from "../api/client";
import { keys } from "../api/queries";
import type { Job, Json } from "../api/types";
import { readJob } from "../new-job/job-document";
import { DialogForm } from "../shell/dialog-form";
import { toYaml } from "../text/yaml";
import { mergePatch } from "./merge-patch";

export function ChangeSpace({ job, disabled }: { job: Job; disabled: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const cache = useQueryClient();
  const [text, setText] = useState("");
  const before = (job.spec["space"] ?? {}) as { [key: string]: Json };
  const change = useMutation({
    mutationFn: async () => {
      const after = readJob(text);
      if (!after) throw new Error("This is no mapping in YAML yet: write `name: value`, one to a line.");
      return changeSpace(job.id, mergePatch(written(before), after));
    },
    onSuccess: (changed) => {
      cache.setQueryData(keys.job(job.id), changed);
      void cache.invalidateQueries({ queryKey: keys.stages(job.id) });
      dialog.current?.close();
    },
  });
  const open = () => {
    setText(toYaml(written(before)));
    dialog.current?.showModal();
  };
  return (
    <>
      <button type="button" disabled={disabled} onClick={open}>
        Change space
      </button>
      <DialogForm
        dialog={dialog}
        label="Change space"
        wide
        send={change.isPending ? "Checking…" : "Change it"}
        sending={change.isPending}
        problem={change.error ? wordsOf(change.error) : undefined}
        onSend={() => change.mutate()}
        onClose={() => change.reset()}
      >
        <p>
          An override narrows a parameter (<code>{"rank: {low: 2, high: 8}"}</code>) or fixes it (
          <code>{"rank: {value: 8}"}</code>). Suggestions without a place in the new space are taken back; what was
          measured stays.
        </p>
        <label className="field">
          Space (YAML)
          <textarea
            rows={Math.min(16, text.split("\n").length + 2)}
            spellCheck={false}
            className="mono"
            value={text}
            onChange={({ target }) => setText(target.value)}
          />
        </label>
      </DialogForm>
    </>
  );
}

/** Without what nobody wrote: fields that are empty, as the service fills them in. */
const written = (space: { [key: string]: Json }): { [key: string]: Json } =>
  Object.fromEntries(
    Object.entries(space).filter(
      ([, value]) => value !== null && (typeof value !== "object" || Object.keys(value).length > 0),
    ),
  );

/** Every problem with its field. */
const wordsOf = (error: Error): string =>
  error instanceof ApiError && error.errors.length
    ? error.errors.map(({ field, message }) => (message.includes(field) ? message : `${field}: ${message}`)).join(" ")
    : error.message;
