/** Taking a trial home: its adapter or the model that it makes of its base as a zip, and code that trains it again. */
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { getAdapter } from "../api/client";
import { getMerged } from "../api/merged";
import { useSnippet } from "../api/queries";
import type { Trial } from "../api/types";
import { CodeBlock } from "../shell/code-block";

export function AdapterDownload({ trial }: { trial: Trial }) {
  const download = useMutation({
    mutationFn: () => getAdapter(trial.id),
    onSuccess: (zip) => save(zip, `${trial.id}.zip`),
  });
  if (!trial.has_adapter) return null;
  return (
    <div className="adapter">
      <button
        type="button"
        className="primary"
        aria-busy={download.isPending} // disabled it would lose the focus, and Escape no longer reach the drawer
        onClick={() => download.isPending || download.mutate()}
      >
        {download.isPending ? "Packing…" : "Download adapter"}
      </button>
      <code>peftsearch export {trial.id} adapter/</code>
      <MergedDownload key={trial.id} trial={trial} />
      <code>peftsearch export {trial.id} model/ --merged</code>
      {download.error && (
        <p className="reason" role="alert">
          {download.error.message}
        </p>
      )}
    </div>
  );
}

/** Made by the service when it is asked for; leaving the trial ends the work. */
function MergedDownload({ trial }: { trial: Trial }) {
  const [stage, setStage] = useState("");
  const running = useRef<AbortController | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => () => running.current?.abort(), []);
  const download = useMutation({
    mutationFn: (stop: AbortController) => getMerged(trial.id, setStage, stop.signal),
    onSuccess: (zip) => save(zip, `${trial.id}-merged.zip`),
  });
  const problem = download.error?.name === "AbortError" ? null : download.error; // who stops it knows
  const begin = () => {
    if (download.isPending) return;
    running.current = new AbortController();
    setStage("merging");
    download.mutate(running.current);
  };
  const stop = () => {
    running.current?.abort();
    button.current?.focus(); // what is pressed goes, and Escape should still reach the drawer
  };
  return (
    <>
      <button ref={button} type="button" aria-busy={download.isPending} onClick={begin}>
        {download.isPending ? "Merging…" : "Download merged model"}
      </button>
      {download.isPending && (
        <>
          <button type="button" className="link" onClick={stop}>
            Stop
          </button>
          <span className="muted" role="status">
            {stage}…
          </span>
        </>
      )}
      {problem && (
        <p className="reason" role="alert">
          {problem.message}
        </p>
      )}
    </>
  );
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

export function Snippet({ trialId }: { trialId: string }) {
  const { data, error } = useSnippet(trialId);
  if (error) {
    return (
      <p className="reason" role="alert">
        {error.message}
      </p>
    );
  }
  return <CodeBlock title="Ready to paste" what="snippet" label="Python code of this trial" text={data ?? "…"} />;
}
