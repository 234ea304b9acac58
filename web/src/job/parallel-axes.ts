/** The axes of parallel coordinates: what varies among a job's trials, then what it searches for. */
import type { Trial } from "../api/types";
import type { Interval } from "../charts/chart";
import { fitScale, type Scale } from "../charts/scale";
import { type Clause, valueIn } from "./clauses";

interface Numbers {
  name: string;
  scale: Scale;
}

interface Words {
  name: string;
  words: readonly string[];
}

export type ParallelAxis = Numbers | Words;

/** More axes than this are too many to read; those that most trials have come first. */
const MOST = 12;
/** A parameter of more words than this is no axis. */
const MOST_WORDS = 24;

/** `metrics` are the objectives' names, which come last. */
export function parallelAxes(trials: readonly Trial[], metrics: readonly string[]): ParallelAxis[] {
  const counts = new Map<string, number>();
  for (const { config } of trials) for (const name in config) counts.set(name, (counts.get(name) ?? 0) + 1);
  const names = [...counts.keys()].filter((name) => !metrics.includes(name));
  const varying = names.filter((name) => varies(trials, name));
  const kept = new Set([...varying].sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0)).slice(0, MOST));
  const axes = [...varying.filter((name) => kept.has(name)), ...metrics].map((name) => axisOf(trials, name));
  return axes.filter((axis) => !("words" in axis) || axis.words.length <= MOST_WORDS);
}

function varies(trials: readonly Trial[], name: string): boolean {
  let first: string | undefined;
  for (const { config } of trials) {
    const text = config[name] === undefined ? undefined : String(config[name]);
    if (text === undefined) continue;
    if (first === undefined) first = text;
    else if (first !== text) return true;
  }
  return false;
}

function axisOf(trials: readonly Trial[], name: string): ParallelAxis {
  const values = trials.flatMap((trial) => valueIn(trial, name) ?? []);
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length === values.length) return { name, scale: fitScale(numbers) };
  return { name, words: [...new Set(values.map(String))].sort() };
}

/** Where a trial crosses the axis; undefined where it has no such value. */
export function place(axis: ParallelAxis, trial: Trial): number | undefined {
  const value = valueIn(trial, axis.name);
  if (value === undefined || value === null) return undefined;
  if ("words" in axis) return axis.words.indexOf(String(value));
  return typeof value === "number" ? axis.scale.toAxis(value) : undefined;
}

/** What a brushed part of an axis asks of a trial. Nothing brushed asks nothing. */
export function clausesOf(axis: ParallelAxis, intervals: readonly Interval[]): Clause[] {
  const [interval] = intervals;
  if (!interval) return [];
  const [low, high] = interval;
  const { name } = axis;
  if ("words" in axis) {
    const values = axis.words.filter((_, position) =>
      intervals.some(([from, to]) => position >= from && position <= to),
    );
    return values.length ? [{ name, relation: "==", values }] : [];
  }
  const text = (position: number) => String(Number(axis.scale.fromAxis(position).toPrecision(4)));
  return [
    { name, relation: ">=", values: [text(low)] },
    { name, relation: "<=", values: [text(high)] },
  ];
}

/** The part of an axis that the clauses on it mark. */
export function intervalsOf(axis: ParallelAxis, clauses: readonly Clause[]): Interval[] {
  const own = clauses.filter((clause) => clause.name === axis.name);
  if (own.length === 0) return [];
  if ("words" in axis) {
    const values = own.flatMap((clause) => (clause.relation === "==" ? clause.values : []));
    return values.map((word) => axis.words.indexOf(word)).map((at) => [at - 0.4, at + 0.4] as const);
  }
  const bound = (relation: string, otherwise: number) => {
    const value = own.find((clause) => clause.relation === relation)?.values[0];
    return value === undefined ? otherwise : axis.scale.toAxis(Number(value));
  };
  return [[bound(">=", axis.scale.min), bound("<=", axis.scale.max)]];
}

/** How a position on the axis reads. */
export const labelAt = (axis: ParallelAxis, position: number): string =>
  "words" in axis ? (axis.words[position] ?? "") : axis.scale.label(position);
