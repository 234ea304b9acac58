/** The trials of a job as the cache keeps them: ordered by number, replaced as a whole when one changes. */
import type { Trial, TrialState } from "./types";

/** Put in new and changed trials. O(known + changed log changed); appending costs no look-ups. */
export function mergeTrials(known: readonly Trial[], changed: readonly Trial[]): Trial[] {
  const fresh = [...changed].sort((a, b) => a.number - b.number);
  const last = known.at(-1);
  const first = fresh[0];
  if (!last || (first && first.number > last.number)) return [...known, ...fresh];
  const byNumber = new Map(fresh.map((trial) => [trial.number, trial]));
  const merged = known.map((trial) => {
    const change = byNumber.get(trial.number);
    byNumber.delete(trial.number);
    return change ?? trial;
  });
  return byNumber.size ? [...merged, ...byNumber.values()].sort((a, b) => a.number - b.number) : merged;
}

/** Without the queued suggestions that the conductor withdrew for better ones. */
export const withoutTrials = (known: readonly Trial[], gone: ReadonlySet<string>): Trial[] =>
  known.filter((trial) => !gone.has(trial.id));

/** Position of the trial with this number, or -1. O(log n): the set is ordered and may have gaps. */
export function indexOfNumber(trials: readonly Trial[], number: number): number {
  let low = 0;
  let high = trials.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = (trials[middle] as Trial).number;
    if (found === number) return middle;
    if (found < number) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** A trial's id is its job's id, a dash and its number. */
export const numberOf = (trialId: string): number => Number(trialId.slice(trialId.lastIndexOf("-") + 1));

/** States that a trial never leaves. */
export const isOver = (state: TrialState): boolean =>
  state === "completed" || state === "stopped" || state === "failed";
