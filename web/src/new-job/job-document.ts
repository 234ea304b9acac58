/** The job file as text and as values at once: the text is the only copy, the form reads and changes it in place. */
import { type Document, isCollection, isMap, parseDocument } from "yaml";
import type { Json } from "../api/types";

export type Path = readonly (string | number)[];
/** A value and where it is written; `undefined` takes the field away. */
export type Change = readonly [Path, Json | undefined];

/** What stands in a text; null where it is no mapping yet, as while a line is being written. */
export function readJob(text: string): { [key: string]: Json } | null {
  const document = parse(text);
  if (document.errors.length || !isMap(document.contents)) return null;
  return document.toJS() as { [key: string]: Json };
}

/** The text with `value` at `path`; comments stay. `undefined` takes the field away, and the sections that it leaves empty. */
export function writeJob(text: string, path: Path, value: Json | undefined): string {
  const document = parse(text);
  if (!isMap(document.contents)) document.contents = document.createNode({});
  if (value === undefined) remove(document, path);
  else {
    for (let length = 1; length < path.length; length++) {
      const parent = document.getIn(path.slice(0, length));
      if (!isCollection(parent)) document.setIn(path.slice(0, length), document.createNode(emptyFor(path[length])));
    }
    document.setIn(path, document.createNode(value, { flow: value !== null && typeof value === "object" }));
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

/** The value at a path of what was read. */
export function at(job: Json | undefined, path: Path): Json | undefined {
  let value: Json | undefined = job;
  for (const step of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = (value as { [key: string]: Json })[step];
  }
  return value;
}

/** The type of task of a job, which need not be written: the one name that the page knows by itself. */
export const typeOf = (job: Json | undefined): string => String(at(job, ["task", "type"]) ?? "text-classification");

/** What a single value means in YAML: `0.5` is a number, `lora` a word, nothing is `undefined`. */
export function scalar(text: string): Json | undefined {
  if (text.trim() === "") return undefined;
  const document = parse(text);
  return document.errors.length ? text : (document.toJS() as Json);
}

// The service reads YAML 1.1, where `yes` and `08:30` are no words.
const parse = (text: string) => parseDocument(text, { version: "1.1" }) as Document;

const emptyFor = (step: string | number | undefined): Json => (typeof step === "number" ? [] : {});

function remove(document: Document, path: Path): void {
  if (!document.hasIn(path)) return;
  document.deleteIn(path);
  const parent = path.slice(0, -1);
  const holder = parent.length > 0 ? document.getIn(parent) : null;
  if (isMap(holder) && holder.items.length === 0) remove(document, parent);
}
