/** Trials as files: what the table shows, with every metric and parameter in a column of its own. */
import type { Json, Trial } from "../api/types";

type Row = Record<string, Json>;

/** One flat row each; a parameter that is named as a metric becomes `config.NAME`. */
export function toRows(trials: readonly Trial[]): Row[] {
  return trials.map((trial) => {
    const row: Row = {
      number: trial.number,
      id: trial.id,
      state: trial.state,
      origin: trial.origin,
      label: trial.label,
      tags: trial.tags.join(", "),
      note: trial.note,
    };
    Object.assign(row, trial.metrics);
    for (const [name, value] of Object.entries(trial.config)) row[name in row ? `config.${name}` : name] = value;
    return row;
  });
}

/** After RFC 4180: a header, CRLF, quotes where a value needs them. A value that is not there is an empty cell. */
export function toCsv(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = rows.map((row) => names.map((name) => cell(row[name])).join(","));
  return [names.map(cell).join(","), ...lines, ""].join("\r\n");
}

function cell(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // A spreadsheet would run a text that begins like a formula.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Hand a file to the browser as a download. */
export function download(name: string, type: string, content: string | Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
