/** The space of searches that go on: its section as text, narrowed, frozen or widened. */
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import type { Job, Json } from "../api/types";
import { readJob } from "../new-job/job-document";
import { DialogForm } from "../shell/dialog-form";
import { toYaml } from "../text/yaml";
import { emptied, inAll, type Mapping, mergePatch } from "./merge-patch";
import { wordsOf } from "./refusal";

interface Props {
  jobs: readonly Job[];
  disabled: boolean;
  /** `patch` makes of the space that is shown what is written; the dialog stays until that is done. */
  onSend: (patch: Mapping) => Promise<unknown>;
}

export function ChangeSpace({ jobs, disabled, onSend }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [before, setBefore] = useState<Mapping>({});
  const [text, setText] = useState("");
  const change = useMutation({
    mutationFn: async () => {
      const after = readJob(text);
      if (!after) throw new Error("This is no mapping in YAML yet: write `name: value`, one to a line.");
      return onSend(mergePatch(before, emptied(before, after)));
    },
    onSuccess: () => dialog.current?.close(),
  });
  const open = () => {
    const shared = inAll(jobs.map(({ spec }) => written((spec["space"] ?? {}) as Mapping)));
    setBefore(shared);
    setText(Object.keys(shared).length ? toYaml(shared) : "");
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
        {jobs.length > 1 && (
          <p>
            Here stands what the {jobs.length} jobs have in common. What you change of it is changed in each; what else
            a job has stays.
          </p>
        )}
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
const written = (space: Mapping): Mapping =>
  Object.fromEntries(
    Object.entries(space).filter(
      ([, value]: [string, Json]) => value !== null && (typeof value !== "object" || Object.keys(value).length > 0),
    ),
  );
