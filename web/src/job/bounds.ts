/** The constraints of a job: bounds that measured metrics must keep. */
import type { Job } from "../api/types";

export interface Bound {
  metric: string;
  min: number | null;
  max: number | null;
}

/** As the spec has them; none for a kind of job without. */
export function boundsOf(spec: Job["spec"]): Bound[] {
  const constraints = spec["constraints"];
  if (!Array.isArray(constraints)) return [];
  return constraints.flatMap((one) => {
    if (one === null || typeof one !== "object" || Array.isArray(one) || typeof one["metric"] !== "string") return [];
    return [{ metric: one["metric"], min: numberIn(one["min"]), max: numberIn(one["max"]) }];
  });
}

const numberIn = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** The ends of the bounds on one metric, with what they say. */
export const endsOn = (bounds: readonly Bound[], metric: string): { value: number; text: string }[] =>
  bounds
    .filter((bound) => bound.metric === metric)
    .flatMap(({ min, max }) => [
      ...(min === null ? [] : [{ value: min, text: `${metric} ≥ ${min}` }]),
      ...(max === null ? [] : [{ value: max, text: `${metric} ≤ ${max}` }]),
    ]);
