/** A file of this machine as the data of the job: sent to the service, which says how jobs name it. */
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { sendFile } from "../api/upload";
import { bytes, percent } from "../text/numbers";

export function DataUpload({ onDone }: { onDone: (path: string) => void }) {
  const [share, setShare] = useState(0);
  const send = useMutation({
    mutationFn: (file: File) => sendFile(file, setShare),
    onMutate: () => setShare(0),
    onSuccess: ({ path }) => onDone(path),
  });
  const file = send.variables;
  return (
    <div className="form-field upload">
      <label htmlFor="upload">or send a file of training data</label>
      <input
        id="upload"
        type="file"
        accept=".csv,.tsv,.json,.jsonl,.ndjson,.parquet,.conll,.gz"
        disabled={send.isPending}
        onChange={({ target }) => target.files?.[0] && send.mutate(target.files[0])}
      />
      {send.isPending && <progress value={share} aria-label={`Sending ${file?.name}`} />}
      <p className="hint muted" role="status">
        {file && send.isPending && `${percent(share)} of ${bytes(file.size)} sent`}
        {file && send.isSuccess && `${file.name} is there; it stays as long as a job names it, and a day before.`}
      </p>
      {send.error && (
        <p className="field-problem" role="alert">
          {send.error.message}
        </p>
      )}
    </div>
  );
}
