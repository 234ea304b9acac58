/** An axis over the values of a grid: numbers stand where their scale has them, words one after another. */
import type { Json } from "../api/types";
import { configValue } from "../text/config";
import { fitScale, type Scale } from "./scale";
import type { Kind } from "./scale-choice";

export interface GridAxis {
  isNumeric: boolean;
  scale: Scale;
  /** The position of a place in the list of values, which may lie between two of them. */
  at: (place: number) => number;
}

export function gridAxis(values: readonly Json[], kind: Kind): GridAxis {
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length < values.length || numbers.length < 2)
    return { isNumeric: false, scale: evenly(values), at: (place) => place };
  const scale = fitScale(numbers, kind);
  const positions = numbers.map(scale.toAxis);
  const at = (place: number): number => {
    const before = Math.min(Math.floor(place), positions.length - 1);
    const [low = 0, high = 0] = [positions[before], positions[Math.min(before + 1, positions.length - 1)]];
    return low + (high - low) * (place - before);
  };
  return { isNumeric: true, scale, at };
}

/** The place of the value that is nearest; -1 for a word that is not there. */
export function nearest(values: readonly Json[], value: Json | undefined): number {
  if (typeof value !== "number") return values.indexOf(value ?? null);
  const away = values.map((one) => Math.abs(Number(one) - value));
  return away.indexOf(Math.min(...away));
}

/** Ticks at most. */
const TICKS = 8;

function evenly(values: readonly Json[]): Scale {
  const step = Math.max(1, Math.ceil(values.length / TICKS));
  return {
    ...fitScale([0, 1]),
    min: -0.5,
    max: values.length - 0.5,
    ticks: values.flatMap((_, at) => (at % step === 0 ? [at] : [])),
    label: (position) => configValue(values[position] ?? null),
  };
}
