/** Trials side by side: where they differ comes first. */
import type { Json, Trial } from "../api/types";

export interface ComparedRow {
  name: string;
  kind: "metric" | "parameter";
  /** One for each trial; undefined where it has none. */
  values: (Json | undefined)[];
  differs: boolean;
}

/** Objectives, then parameters, then other metrics; within that those that differ before those that are the same. */
export function compare(trials: readonly Trial[], objectives: readonly string[]): ComparedRow[] {
  const names = (of: (trial: Trial) => object) => [...new Set(trials.flatMap((trial) => Object.keys(of(trial))))];
  const metrics = names((trial) => trial.metrics).filter((name) => !objectives.includes(name));
  const rows = [
    ...objectives.map((name) => rowOf("metric", name, trials)),
    ...names((trial) => trial.config).map((name) => rowOf("parameter", name, trials)),
    ...metrics.sort().map((name) => rowOf("metric", name, trials)),
  ];
  return [...rows.filter((row) => row.differs), ...rows.filter((row) => !row.differs)];
}

function rowOf(kind: ComparedRow["kind"], name: string, trials: readonly Trial[]): ComparedRow {
  const values = trials.map((trial) => (kind === "metric" ? trial.metrics[name] : trial.config[name]));
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
