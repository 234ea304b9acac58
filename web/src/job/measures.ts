/** What a chart can put on an axis: a metric that trials have, or the trial's number. */
import { useMemo } from "react";
import type { Job, MetricInfo, Trial } from "../api/types";

export const NUMBER = "number";

export interface Axes {
  x: string;
  y: string;
}

export interface Space extends Axes {
  z: string;
}

/** Every metric that occurs: objectives first, then the rest by name. The same array until a new one occurs. */
export function useMetricNames(job: Job | undefined, trials: readonly Trial[]): readonly string[] {
  const key = useMemo(() => {
    const objectives = job?.objectives.map((objective) => objective.metric) ?? [];
    const others = new Set<string>();
    for (const trial of trials) for (const name in trial.metrics) others.add(name);
    for (const name of objectives) others.delete(name);
    return [...objectives, ...[...others].sort()].join(" ");
  }, [job, trials]);
  return useMemo(() => key.split(" ").filter(Boolean), [key]);
}

/** First objective upwards; across, what it is traded for. */
export function defaultAxes(job: Job, names: readonly string[]): Axes {
  const [first, second] = job.objectives.map((objective) => objective.metric);
  const cost = names.includes("trainable_params") && first !== "trainable_params" ? "trainable_params" : NUMBER;
  return { x: second ?? cost, y: first ?? NUMBER };
}

/** The third objective, where there is one, goes into the depth. */
export const defaultDepth = (job: Job): string => job.objectives[2]?.metric ?? "";

export const measure = (trial: Trial, name: string): number | undefined =>
  name === NUMBER ? trial.number : (trial.metrics[name] ?? undefined);

/** Measured before the end of its training: stopped, paused, failed or still running. Not to be read as a finished one. */
export const isUnfinished = (trial: Trial): boolean =>
  trial.state !== "completed" && Object.keys(trial.metrics).length > 0;

/** `accuracy`, `train_seconds (seconds)`, `trial`; without the unit where the name says it. */
export function axisTitle(name: string, metrics: ReadonlyMap<string, MetricInfo>): string {
  if (name === NUMBER) return "trial";
  const unit = metrics.get(name)?.unit;
  return unit && unit !== "parameters" && unit !== "nats" ? `${name} (${unit})` : name;
}
