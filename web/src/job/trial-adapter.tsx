/** Taking a trial home: its adapter as a zip, and code that trains it again. */
import { useMutation } from "@tanstack/react-query";
import { getAdapter } from "../api/client";
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
      <code>peftsearch export {trial.id} model/ --merged</code>
      {download.error && (
        <p className="reason" role="alert">
          {download.error.message}
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
