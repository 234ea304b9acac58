/** Trials side by side: where they differ comes first. */
import type { Json, Trial } from "../api/types";

export interface ComparedRow {
  name: string;
  kind: "metric" | "parameter";
  /** One for each of what is compared; undefined where it has none. */
  values: (Json | undefined)[];
  differs: boolean;
}

/** Objectives, then parameters, then other metrics; within that those that differ before those that are the same. */
export function compare(trials: readonly Trial[], objectives: readonly string[]): ComparedRow[] {
  const names = (of: (trial: Trial) => object) => [...new Set(trials.flatMap((trial) => Object.keys(of(trial))))];
  const metrics = names((trial) => trial.metrics).filter((name) => !objectives.includes(name));
  const metric = (name: string) =>
    rowOf(
      "metric",
      name,
      trials.map((trial) => trial.metrics[name]),
    );
  const parameter = (name: string) =>
    rowOf(
      "parameter",
      name,
      trials.map((trial) => trial.config[name]),
    );
  return differencesFirst([
    ...objectives.map(metric),
    ...names((trial) => trial.config).map(parameter),
    ...metrics.sort().map(metric),
  ]);
}

/** The fields of documents side by side, by dotted path. */
export function compareFields(documents: readonly Json[]): ComparedRow[] {
  const flat = documents.map((document) => new Map(leaves(document, "")));
  const names = [...new Set(flat.flatMap((fields) => [...fields.keys()]))];
  return differencesFirst(
    names.map((name) =>
      rowOf(
        "parameter",
        name,
        flat.map((fields) => fields.get(name)),
      ),
    ),
  );
}

function leaves(value: Json, path: string): [string, Json][] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, path ? `${path}.${name}` : name));
}

const differencesFirst = (rows: readonly ComparedRow[]): ComparedRow[] => [
  ...rows.filter((row) => row.differs),
  ...rows.filter((row) => !row.differs),
];

function rowOf(kind: ComparedRow["kind"], name: string, values: (Json | undefined)[]): ComparedRow {
  const texts = values.map((value) => JSON.stringify(value));
  return { name, kind, values, differs: texts.some((text) => text !== texts[0]) };
}

/** The numbers in the address, such as `3,7`. */
export const parseNumbers = (text: string | null): number[] => [
  ...new Set((text ?? "").split(",").filter(Boolean).map(Number).filter(Number.isInteger)),
];

/** With the number if it is not there, without it if it is; null when none is left. */
export function toggleNumber(text: string | null, number: number): string | null {
  const numbers = parseNumbers(text);
  const next = numbers.includes(number) ? numbers.filter((one) => one !== number) : [...numbers, number];
  return next.length ? next.join(",") : null;
}
