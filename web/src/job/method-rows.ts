/** What each method of a search has reached in one metric. */
import type { Direction, Trial } from "../api/types";
import { methodName } from "../text/config";

export interface MethodRow {
  method: string;
  /** Completed ones that measured the metric. */
  trials: readonly Trial[];
  best: Trial;
  quarter: number;
  median: number;
  threeQuarters: number;
  onFront: number;
}

/** One row for each method, the one with the best trial first. */
export function methodRows(
  trials: readonly Trial[],
  metric: string,
  direction: Direction,
  front: ReadonlySet<string>,
): MethodRow[] {
  const sign = direction === "maximize" ? -1 : 1;
  const value = (trial: Trial) => trial.metrics[metric] as number;
  const byMethod = new Map<string, Trial[]>();
  for (const trial of trials) {
    if (trial.state !== "completed" || typeof trial.metrics[metric] !== "number") continue;
    const method = methodName(trial.config);
    const own = byMethod.get(method);
    if (own) own.push(trial);
    else byMethod.set(method, [trial]);
  }
  const rows = [...byMethod].map(([method, own]): MethodRow => {
    const sorted = own.map(value).sort((a, b) => a - b);
    return {
      method,
      trials: own,
      best: own.reduce((a, b) => (sign * value(b) < sign * value(a) ? b : a)),
      quarter: quantile(sorted, 0.25),
      median: quantile(sorted, 0.5),
      threeQuarters: quantile(sorted, 0.75),
      onFront: own.filter((trial) => front.has(trial.id)).length,
    };
  });
  return rows.sort((a, b) => sign * (value(a.best) - value(b.best)));
}

/** Between neighbours in proportion, as spreadsheets and numpy do. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  return low + ((sorted[Math.ceil(at)] ?? low) - low) * (at - Math.floor(at));
}
