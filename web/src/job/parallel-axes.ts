/** The axes of parallel coordinates: what varies among a job's trials, then what it searches for. */
import type { Json, Trial } from "../api/types";
import type { Interval } from "../charts/drag";
import { fitScale, type Scale, ticksOf } from "../charts/scale";
import { type Clause, NONE, valueIn } from "./clauses";

interface Shared {
  name: string;
  /** Where trials without such a value cross, below all others; null where all have one. */
  none: number | null;
}

interface Numbers extends Shared {
  scale: Scale;
}

interface Words extends Shared {
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
  let first: Json | undefined;
  for (const { config } of trials) {
    const value = config[name];
    if (value === undefined || value === first) continue;
    if (first === undefined) first = value;
    else if (String(value) !== String(first)) return true;
  }
  return false;
}

/** In one pass without lists of pieces: there may be tens of thousands of trials, and a dozen axes. */
function axisOf(trials: readonly Trial[], name: string): ParallelAxis {
  const numbers: number[] = [];
  const words = new Set<string>();
  let lacking = 0;
  for (const trial of trials) {
    const value = valueIn(trial, name) ?? undefined;
    if (typeof value === "number") numbers.push(value);
    else if (value === undefined) lacking += 1;
    else words.add(String(value));
  }
  if (words.size) return { name, none: lacking ? -1 : null, words: [...words, ...new Set(numbers.map(String))].sort() };
  const scale = fitScale(numbers);
  return { name, none: lacking ? scale.min - GAP * (scale.max - scale.min) : null, scale };
}

/** The share of an axis that is between its values and the mark for none. */
const GAP = 0.12;

/** Where a trial crosses the axis. */
export function place(axis: ParallelAxis, trial: Trial): number | undefined {
  const value = valueIn(trial, axis.name);
  if (value === undefined || value === null) return axis.none ?? undefined;
  if ("words" in axis) return axis.words.indexOf(String(value));
  return typeof value === "number" ? axis.scale.toAxis(value) : undefined;
}

/** Both ends of the axis. */
export function endsOf(axis: ParallelAxis): Interval {
  if ("words" in axis) return [(axis.none ?? 0) - 0.5, axis.words.length - 0.5];
  const { min, max } = axis.scale;
  return [axis.none === null ? min : axis.none - (GAP / 2) * (max - min), max];
}

/** Where its ticks are; null: wherever the chart puts them. */
export function marksOf(axis: ParallelAxis): number[] | null {
  const none = axis.none === null ? [] : [axis.none];
  if ("words" in axis) return [...none, ...axis.words.map((_, at) => at)];
  return axis.none === null ? axis.scale.ticks : [...none, ...ticksOf(axis.scale)];
}

/** What a brushed part of an axis asks of a trial. Nothing brushed asks nothing. */
export function clausesOf(axis: ParallelAxis, intervals: readonly Interval[]): Clause[] {
  const [interval] = intervals;
  if (!interval) return [];
  const [low, high] = interval;
  const { name, none } = axis;
  const isBrushed = (position: number) => intervals.some(([from, to]) => position >= from && position <= to);
  const lacking = none !== null && isBrushed(none) ? [NONE] : [];
  if ("words" in axis) {
    const values = [...lacking, ...axis.words.filter((_, position) => isBrushed(position))];
    return values.length ? [{ name, relation: "==", values }] : [];
  }
  // A range of numbers cannot ask for none as well: whoever brushes into the numbers means these.
  if (lacking.length && high < axis.scale.min) return [{ name, relation: "==", values: lacking }];
  const text = (position: number) => String(Number(axis.scale.fromAxis(position).toPrecision(4)));
  return [
    { name, relation: ">=", values: [text(Math.max(low, axis.scale.min))] },
    { name, relation: "<=", values: [text(high)] },
  ];
}

/** The part of an axis that the clauses on it mark. */
export function intervalsOf(axis: ParallelAxis, clauses: readonly Clause[]): Interval[] {
  const own = clauses.filter((clause) => clause.name === axis.name);
  if (own.length === 0) return [];
  const values = own.flatMap((clause) => (clause.relation === "==" ? clause.values : []));
  const places = values.map((word) => (word === NONE ? axis.none : "words" in axis ? axis.words.indexOf(word) : null));
  const [start, end] = endsOf(axis);
  const half = "words" in axis ? 0.4 : (end - start) / 40;
  if ("words" in axis || places.some((at) => at !== null))
    return places.flatMap((at): Interval[] => (at === null ? [] : [[at - half, at + half]]));
  const bound = (relation: string, otherwise: number) => {
    const value = own.find((clause) => clause.relation === relation)?.values[0];
    return value === undefined ? otherwise : axis.scale.toAxis(Number(value));
  };
  return [[bound(">=", axis.scale.min), bound("<=", axis.scale.max)]];
}

/** How a position on the axis reads. */
export const labelAt = (axis: ParallelAxis, position: number): string =>
  position === axis.none ? NONE : "words" in axis ? (axis.words[position] ?? "") : axis.scale.label(position);
