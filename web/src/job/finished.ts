/** Trials in the order they finished, and the front as it was when so many had. */
import type { Job, Objective, Trial } from "../api/types";
import { frontHistory, membersAt } from "../charts/front-history";
import { boundsOf } from "./bounds";

/** Completed trials that have every objective, by the time they finished. */
export function inOrder(trials: readonly Trial[], objectives: readonly Objective[]): Trial[] {
  return trials
    .filter(
      (trial) =>
        trial.state === "completed" && objectives.every(({ metric }) => typeof trial.metrics[metric] === "number"),
    )
    .map((trial) => ({ trial, finished: Date.parse(trial.finished_at ?? "") }))
    .sort((a, b) => a.finished - b.finished)
    .map(({ trial }) => trial);
}

/** What can be asked of the course of a search. */
export interface Course {
  finished: readonly Trial[];
  /** The front when the first so many of `finished` were there. */
  frontAfter: (count: number) => Trial[];
}

/** Membership is worked out once, whatever is then asked. */
export function courseOf(job: Job, finished: readonly Trial[]): Course {
  const bounds = boundsOf(job.spec);
  const points = finished.map((trial) =>
    bounds.every(({ metric, min, max }) => {
      const value = trial.metrics[metric];
      return typeof value === "number" && value >= (min ?? -Infinity) && value <= (max ?? Infinity);
    })
      ? job.objectives.map(({ metric }) => trial.metrics[metric] as number)
      : null,
  );
  const history = frontHistory(
    points,
    job.objectives.map(({ direction }) => direction),
  );
  return { finished, frontAfter: (count) => membersAt(history, count).map((at) => finished[at] as Trial) };
}

/** The trials that had ended when `last` did. */
export function endedBy(trials: readonly Trial[], last: Trial | undefined): Trial[] {
  const moment = Date.parse(last?.finished_at ?? "");
  return trials.filter((trial) => trial.finished_at !== null && Date.parse(trial.finished_at) <= moment);
}
