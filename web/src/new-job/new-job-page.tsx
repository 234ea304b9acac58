/** Write a job as a form, as text, or as both at once. The service checks it while it is being written. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, lazy, Suspense, useMemo, useRef } from "react";
import { ApiError, getFollowUp, getJob, submitJob } from "../api/client";
import { keys } from "../api/queries";
import type { FieldError, Job } from "../api/types";
import { Failure } from "../shell/failure";
import { jobPath, navigate } from "../shell/router";
import { toYaml } from "../text/yaml";
import { type Catalogue, useCatalogue } from "./catalogue";
import { completionOf } from "./completion";
import { Cost } from "./cost";
import { DataPreview } from "./data-preview";
import { useDraft } from "./draft";
import { FieldErrors } from "./field-errors";
import { readJob, writeJob } from "./job-document";
import { JobForm } from "./job-form";
import { KindForm } from "./kind-form";
import { lineOf } from "./line-of-field";
import type { Form } from "./schema-field";
import type { Start } from "./start";
import { useCheck } from "./use-check";
import type { EditorHandle } from "./yaml-editor";
import quickstart from "../../../examples/quickstart.yaml?raw";

const YamlEditor = lazy(() => import("./yaml-editor"));
const noProblems: FieldError[] = [];

export function NewJobPage({ start }: { start: Start }) {
  const source = useQuery({
    queryKey: ["start", start],
    queryFn: async ({ signal }) => {
      if (start === null) return {};
      return "from" in start ? (await getJob(start.from, signal)).spec : getFollowUp(start.trial, start.how, signal);
    },
    enabled: start !== null,
    staleTime: Infinity,
  });
  if (start === null) return <Editor key="" origin={null} start={quickstart} />;
  if (source.isPending)
    return (
      <p className="page muted" role="status">
        Loading the spec…
      </p>
    );
  if (source.isError) return <Failure error={source.error} what="What this job starts with" />;
  const origin = "from" in start ? start.from : `${start.how} ${start.trial}`;
  return <Editor key={origin} origin={origin} start={toYaml(source.data)} />;
}

function Editor({ origin, start }: { origin: string | null; start: string }) {
  const draft = useDraft(origin, start);
  const { text } = draft;
  const editor = useRef<EditorHandle>(null);
  const submit = useSubmit(text, draft.discard);
  const { check, current } = useCheck(text);
  const catalogue = useCatalogue();
  const complete = useMemo(() => completionOf(catalogue.data), [catalogue.data]);
  const problems = (check.data?.problems as FieldError[] | undefined) ?? noProblems;
  const refusal = submit.error;
  const refused = refusal instanceof ApiError ? refusal.errors : [];
  const showField = (field: string) => {
    const line = lineOf(text, field);
    if (line) editor.current?.show(line);
  };
  return (
    <form
      className="page new-job"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        submit.mutate();
      }}
    >
      <title>New job · peftsearch</title>
      <div className="page-head">
        <h1>New job</h1>
        <p className="muted check-state" role="status">
          {checkWords(problems.length, current, check.isError)}
        </p>
        {draft.changed && (
          <button type="button" onClick={draft.discard}>
            Start over
          </button>
        )}
        <button type="submit" className="primary" disabled={submit.isPending}>
          {submit.isPending ? "Checking…" : "Submit"}
        </button>
      </div>
      <FormSide text={text} problems={problems} catalogue={catalogue.data} write={draft.write} />
      <div className="editor">
        <Suspense fallback={<pre className="yaml-editor">{text}</pre>}>
          <YamlEditor
            text={text}
            problems={problems}
            complete={complete}
            handle={editor}
            onChange={draft.write}
            onSubmit={() => submit.mutate()}
          />
        </Suspense>
        <p className="muted hint">
          <kbd>Ctrl</kbd> <kbd>Enter</kbd> submits, <kbd>Ctrl</kbd> <kbd>Space</kbd> says what could be written. Every
          field is described in the <a href="v1/docs">API reference</a>.
        </p>
        <div id="job-errors" className="field-errors">
          {refusal ? (
            <FieldErrors message={refusal.message} errors={refused} text={text} onShow={showField} refused />
          ) : (
            problems.length > 0 && <FieldErrors message="" errors={problems} text={text} onShow={showField} />
          )}
        </div>
        <Cost
          cost={check.data?.cost ?? null}
          memory={check.data?.memory ?? null}
          sound={problems.length === 0 && check.data !== undefined}
        />
        <DataPreview splits={check.data?.splits ?? []} />
      </div>
    </form>
  );
}

interface SideProps {
  text: string;
  problems: readonly FieldError[];
  catalogue: Catalogue | undefined;
  write: (text: string) => void;
}

function FormSide({ text, problems, catalogue, write }: SideProps) {
  const job = useMemo(() => readJob(text), [text]);
  if (!catalogue)
    return (
      <p className="muted" role="status">
        Loading the form…
      </p>
    );
  if (!job) return <p className="muted">The text is not a mapping in YAML yet; once it is, its form is here.</p>;
  const form = {
    job,
    problems,
    schemas: catalogue.schemas,
    write: ((path, value, also = []) =>
      write(
        also.reduce((written, [where, what]) => writeJob(written, where, what), writeJob(text, path, value)),
      )) satisfies Form["write"],
  };
  const kind = String(job["kind"] ?? "search");
  return kind === "search" ? <JobForm {...{ form, catalogue }} /> : <KindForm {...{ form, catalogue, kind }} />;
}

function checkWords(problems: number, current: boolean, failed: boolean): string {
  if (failed) return "Not checked: the service cannot be reached";
  if (!current) return "Checking…";
  if (problems === 0) return "No problems found";
  return problems === 1 ? "1 problem" : `${problems} problems`;
}

/** One key per text: pressing the button twice makes one job, changing the text makes another. */
function useSubmit(text: string, onDone: () => void) {
  const cache = useQueryClient();
  const key = useRef({ text: "", value: "" });
  return useMutation({
    mutationKey: [text],
    mutationFn: () => {
      if (key.current.text !== text) key.current = { text, value: randomKey() };
      return submitJob(text, key.current.value);
    },
    onSuccess: (job: Job) => {
      onDone();
      cache.setQueryData(keys.job(job.id), job);
      navigate(jobPath(job.id));
    },
  });
}

/** `crypto.randomUUID` exists only on secure origins; a service on a plain-http host is not one. */
const randomKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
