/** What a search is measured over: trials, the clock, or training. */
import type { Job, Trial } from "../api/types";

export const OVER = ["finished trials", "minutes since the start", "minutes of training"] as const;
export type Over = (typeof OVER)[number];

/** What had been spent when each trial ended: trials, or minutes by the clock or of training. */
export function spentAt(over: Over, finished: readonly Trial[], { started_at, created_at }: Job): number[] {
  if (over === "finished trials") return finished.map((_, index) => index + 1);
  if (over === "minutes since the start") {
    const start = Date.parse(started_at ?? created_at);
    return finished.map((trial) => (Date.parse(trial.finished_at ?? "") - start) / 60_000);
  }
  let trained = 0;
  return finished.map((trial) => {
    trained += trial.metrics["train_seconds"] ?? 0;
    return trained / 60;
  });
}
