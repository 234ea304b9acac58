/** Write or paste a job file and submit it. The service checks it; its answer stands beside the text, field by field. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type KeyboardEvent, useRef } from "react";
import { ApiError, getJob, submitJob } from "../api/client";
import { keys } from "../api/queries";
import type { Job } from "../api/types";
import { Failure } from "../shell/failure";
import { jobPath, navigate } from "../shell/router";
import { toYaml } from "../text/yaml";
import { useDraft } from "./draft";
import { FieldErrors } from "./field-errors";
import { lineOf } from "./line-of-field";
import quickstart from "../../../examples/quickstart.yaml?raw";

/** `from` is the job whose spec the editor starts with. */
export function NewJobPage({ from }: { from: string | null }) {
  const source = useQuery({
    queryKey: keys.job(from ?? ""),
    queryFn: ({ signal }) => getJob(from ?? "", signal),
    enabled: from !== null,
  });
  if (from === null) return <Editor key="" origin={null} start={quickstart} />;
  if (source.isPending)
    return (
      <p className="page muted" role="status">
        Loading the spec…
      </p>
    );
  if (source.isError) return <Failure error={source.error} what="The job to copy" />;
  return <Editor key={from} origin={from} start={toYaml(source.data.spec)} />;
}

function Editor({ origin, start }: { origin: string | null; start: string }) {
  const draft = useDraft(origin, start);
  const { text } = draft;
  const area = useRef<HTMLTextAreaElement>(null);
  const cache = useQueryClient();
  // One key per text: pressing the button twice makes one job, changing the text makes another.
  const key = useRef({ text: "", value: "" });
  const submit = useMutation({
    mutationFn: () => {
      if (key.current.text !== text) key.current = { text, value: randomKey() };
      return submitJob(text, key.current.value);
    },
    onSuccess: (job: Job) => {
      draft.discard();
      cache.setQueryData(keys.job(job.id), job);
      navigate(jobPath(job.id));
    },
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    submit.mutate();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit.mutate();
  };
  const showField = (field: string) => {
    const line = lineOf(text, field);
    if (area.current && line) selectLine(area.current, line);
  };
  const errors = submit.error instanceof ApiError ? submit.error.errors : [];
  return (
    <form className="page new-job" onSubmit={onSubmit}>
      <title>New job · peftsearch</title>
      <div className="page-head">
        <h1>New job</h1>
        {draft.changed && (
          <button type="button" onClick={draft.discard}>
            Start over
          </button>
        )}
        <button type="submit" className="primary" disabled={submit.isPending}>
          {submit.isPending ? "Checking…" : "Submit"}
        </button>
      </div>
      <div className="editor">
        <label htmlFor="job-file">Job file (YAML)</label>
        <textarea
          id="job-file"
          ref={area}
          value={text}
          spellCheck={false}
          autoComplete="off"
          rows={Math.max(20, text.split("\n").length + 1)}
          aria-invalid={submit.isError}
          aria-describedby="job-errors"
          onChange={(event) => draft.write(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <p className="muted hint">
          <kbd>Ctrl</kbd> <kbd>Enter</kbd> submits. Every field is described in the <a href="v1/docs">API reference</a>.
        </p>
      </div>
      <div id="job-errors" className="field-errors">
        {submit.error && <FieldErrors message={submit.error.message} errors={errors} text={text} onShow={showField} />}
      </div>
    </form>
  );
}

function selectLine(area: HTMLTextAreaElement, line: number): void {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
}

/** `crypto.randomUUID` exists only on secure origins; a service on a plain-http host is not one. */
const randomKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
