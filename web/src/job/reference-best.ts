import type { Objective, Trial } from "../api/types";

/**
 * Of the reference trials that measured the objective's metric, the best of each name in the order in which names come
 * first: a mixture is trained with several seeds and sizes under one name.
 */
export function bestOfEachName(reference: readonly Trial[], { metric, direction }: Objective): Trial[] {
  const sign = direction === "minimize" ? -1 : 1;
  const worth = (trial: Trial) => sign * (trial.metrics[metric] as number);
  const found = new Map<string, Trial>();
  for (const trial of reference) {
    if (typeof trial.metrics[metric] !== "number") continue;
    const name = trial.label ?? trial.id;
    const before = found.get(name);
    if (before === undefined || worth(trial) > worth(before)) found.set(name, trial);
  }
  return [...found.values()];
}
