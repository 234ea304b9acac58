/**
 * Axis scales. ECharts' log axis cannot show zero, and zero is where the head-only trial sits on the axis of trainable
 * parameters; so values are placed on a plain axis in powers of ten, with zero one decade below the smallest positive value.
 */
import { compact, tick } from "../text/numbers";

export interface Scale {
  kind: "linear" | "log";
  toAxis: (value: number) => number;
  /** The value at a position. */
  fromAxis: (position: number) => number;
  label: (position: number) => string;
  min: number;
  max: number;
  /** Positions of the ticks, or null to let the chart choose. */
  ticks: number[] | null;
}

/** Positive values that span this much are shown by decades. */
const SPAN = 10;

/** Choose and fit a scale, or fit the one that is `wanted` where the values allow it. `values` may be empty. */
export function fitScale(values: readonly number[], wanted: Scale["kind"] | null = null): Scale {
  let low = Infinity;
  let high = -Infinity;
  let smallest = Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
    if (value > 0) smallest = Math.min(smallest, value);
  }
  if (low > high) return linear(0, 1);
  const possible = low >= 0 && Number.isFinite(smallest);
  const decades = wanted === null ? high >= SPAN * smallest : wanted === "log";
  return possible && decades ? logarithmic(low, smallest, high) : linear(low, high);
}

/** A scale for a course of shares that only grows; plain, however small the first ones are. */
export function shareScale(growing: readonly number[]): Scale {
  return linear(growing[0] ?? 0, growing.at(-1) ?? 1);
}

/** A scale from zero for things that are counted, such as trials and epochs: ticks on whole numbers only. */
export function countScale(max: number): Scale {
  const top = Math.max(1, max);
  const step = wholeStep(top / 6);
  const ticks = Array.from({ length: Math.floor(top / step) + 1 }, (_, index) => index * step);
  return { kind: "linear", toAxis: same, fromAxis: same, label: compact, min: 0, max: top, ticks };
}

/** Where the ticks of an axis without its own are, five or so: at multiples of 1, 2 or 5 times a power of ten. */
export function ticksOf({ ticks, min, max }: Scale): number[] {
  if (ticks) return ticks;
  const rough = (max - min) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? 10 * power;
  const first = Math.ceil(min / step);
  return Array.from({ length: Math.floor(max / step) - first + 1 }, (_, at) => (first + at) * step);
}

/** The least of 1, 2, 5, 10, 20 … that is not below `size`. */
function wholeStep(size: number): number {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(size)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= size) ?? 10 * power;
}

const same = (value: number): number => value;

function linear(low: number, high: number): Scale {
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  const min = low >= 0 && low < margin ? 0 - margin * 0.5 : low - margin;
  const max = high + margin;
  const label = (value: number) => tick(value, max - min);
  return { kind: "linear", toAxis: same, fromAxis: same, label, min, max, ticks: null };
}

function logarithmic(low: number, smallest: number, high: number): Scale {
  const floor = Math.floor(Math.log10(smallest) + 1e-9);
  const zero = floor - 1;
  const margin = 0.12;
  const min = (low === 0 ? zero : Math.log10(low)) - margin;
  const max = Math.log10(high) + margin;
  const ticks = decades(floor, max).filter((tick) => tick >= min && tick <= max);
  return {
    kind: "log",
    toAxis: (value) => (value > 0 ? Math.log10(value) : zero),
    fromAxis: (position) => (low === 0 && position < floor - 0.5 ? 0 : 10 ** position),
    label: (position) => (low === 0 && position === zero ? "0" : compact(Number((10 ** position).toPrecision(3)))),
    min,
    max,
    ticks: low === 0 ? [zero, ...ticks] : ticks,
  };
}

/** Powers of ten; with 2 and 5 between them when they are few. */
function decades(from: number, to: number): number[] {
  const count = Math.ceil(to - from) + 1;
  const steps = count > 4 ? [1] : [1, 2, 5];
  return Array.from({ length: count }, (_, index) => steps.map((step) => from + index + Math.log10(step))).flat();
}
