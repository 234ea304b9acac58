/** Taking a trial home: its adapter as a zip, and code that trains it again. */
import { useState } from "react";
import { getAdapter } from "../api/client";
import { useSnippet } from "../api/queries";
import type { Trial } from "../api/types";
import { CodeBlock } from "../shell/code-block";

export function AdapterDownload({ trial }: { trial: Trial }) {
  const [problem, setProblem] = useState("");
  if (!trial.has_adapter) return null;
  const download = async () => {
    setProblem("");
    try {
      save(await getAdapter(trial.id), `${trial.id}.zip`);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <div className="adapter">
      <button type="button" className="primary" onClick={() => void download()}>
        Download adapter
      </button>
      <code>peftsearch export {trial.id} adapter/</code>
      {problem && (
        <p className="reason" role="alert">
          {problem}
        </p>
      )}
    </div>
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
