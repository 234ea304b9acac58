/** Where a field such as `task.train` or `objectives.0.metric` stands in a YAML text. */
import { isMap, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from "yaml";

/** The line of the field, counted from 1; that of its nearest ancestor where the text does not name it; or null. */
export function lineOf(text: string, field: string): number | null {
  const lines = new LineCounter();
  let node: Node | null = parseDocument(text, { lineCounter: lines, keepSourceTokens: false }).contents;
  let found: number | null = null;
  for (const step of stepsOf(field)) {
    const next = child(node, step);
    if (!next) break;
    found = lines.linePos(next.start).line;
    node = next.value;
  }
  return found;
}

const stepsOf = (field: string): string[] =>
  field
    .replace(/\[(\w+)\]/g, ".$1")
    .split(".")
    .filter((step) => step && step !== "body");

/** Where a key or an item of `node` begins, and what it holds. */
function child(node: Node | null, step: string): { start: number; value: Node | null } | null {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => String(key) === step);
    const key = pair?.key as ParsedNode | undefined;
    return pair && key ? { start: key.range[0], value: pair.value as Node | null } : null;
  }
  const item = isSeq(node) && /^\d+$/.test(step) ? (node.items[Number(step)] as ParsedNode | undefined) : undefined;
  return item ? { start: item.range[0], value: item } : null;
}
