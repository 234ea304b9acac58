/** What the trials table shows, in its order, as a file. */
import { useMutation } from "@tanstack/react-query";
import { getParquet } from "../api/client";
import type { Trial } from "../api/types";
import { download, toCsv, toRows } from "./download-trials";

interface Props {
  /** Id of the job; files are named after it. */
  name: string;
  rows: readonly Trial[];
}

export function Downloads({ name, rows }: Props) {
  const csv = () => download(`${name}.csv`, "text/csv", toCsv(toRows(rows)));
  const json = () => download(`${name}.json`, "application/json", JSON.stringify(toRows(rows), null, 1));
  const parquet = useMutation({
    mutationFn: () =>
      getParquet(
        name,
        rows.map((trial) => trial.number),
      ),
    onSuccess: (file) => download(`${name}.parquet`, file.type, file),
  });
  const none = rows.length === 0;
  return (
    <span className="downloads">
      {parquet.error && (
        <span className="reason" role="alert">
          {parquet.error.message}
        </span>
      )}
      <button type="button" className="small" disabled={none} onClick={csv}>
        CSV
      </button>
      <button type="button" className="small" disabled={none} onClick={json}>
        JSON
      </button>
      <button
        type="button"
        className="small"
        disabled={none}
        aria-busy={parquet.isPending}
        onClick={() => parquet.isPending || parquet.mutate()}
      >
        {parquet.isPending ? "Writing…" : "Parquet"}
      </button>
    </span>
  );
}
