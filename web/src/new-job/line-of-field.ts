/**
 * The line of a YAML text on which a field such as `task.train` or `objectives.0.metric` stands, counted from 1, or null.
 * Follows indentation; a field inside `{…}` is found on the line of its nearest ancestor.
 */
export function lineOf(text: string, field: string): number | null {
  const lines = text.split("\n");
  const steps = field
    .replace(/\[(\w+)\]/g, ".$1")
    .split(".")
    .filter((step) => step && step !== "body");
  let from = 0;
  let to = lines.length;
  let found: number | null = null;
  for (const step of steps) {
    const at = /^\d+$/.test(step) ? itemLine(lines, from, to, Number(step)) : keyLine(lines, from, to, step);
    if (at === null) break;
    found = at;
    const inside = /^\d+$/.test(step) ? at : at + 1;
    to = blockEnd(lines, at, to);
    from = inside;
  }
  return found === null ? null : found + 1;
}

const indentOf = (line: string): number => line.search(/\S/);
const isBlank = (line: string): boolean => /^\s*(#.*)?$/.test(line);

function keyLine(lines: readonly string[], from: number, to: number, key: string): number | null {
  const pattern = new RegExp(`^\\s*(?:- )?["']?${key.replace(/[^\w]/g, "\\$&")}["']?\\s*:`);
  const within = lines.slice(from, to);
  const at = within.findIndex((line) => pattern.test(line));
  return at < 0 ? null : from + at;
}

function itemLine(lines: readonly string[], from: number, to: number, index: number): number | null {
  const dashes: number[] = [];
  let indent = -1;
  for (let at = from; at < to; at++) {
    const line = lines[at] ?? "";
    if (!/^\s*-(\s|$)/.test(line)) continue;
    if (indent < 0) indent = indentOf(line);
    if (indentOf(line) === indent) dashes.push(at);
  }
  return dashes[index] ?? null;
}

/** The first line after `at` that is not deeper than it. */
function blockEnd(lines: readonly string[], at: number, to: number): number {
  const own = indentOf(lines[at] ?? "");
  const isItem = /^\s*-/.test(lines[at] ?? "");
  for (let next = at + 1; next < to; next++) {
    const line = lines[next] ?? "";
    if (isBlank(line)) continue;
    const sibling = !isItem && indentOf(line) === own && /^\s*-/.test(line);
    if (indentOf(line) <= own && !sibling) return next;
  }
  return to;
}
