/** The slider over the course of a search: everything above it is shown as it was when so many trials had finished. */
import { useMemo, useState } from "react";
import type { Job, Trial } from "../api/types";
import { integer } from "../text/numbers";
import { duration } from "../text/time";
import { courseOf, endedBy } from "./finished";

export interface Moment {
  trials: readonly Trial[];
  kept: readonly Trial[];
  front: readonly Trial[];
  /** Finished trials that there were, of how many; null: the present. */
  after: number | null;
  of: number;
  /** What the clock had said since the job started, in seconds. */
  seconds: number;
  setAfter: (after: number | null) => void;
}

export function useMoment(
  job: Job,
  trials: readonly Trial[],
  kept: readonly Trial[],
  finished: readonly Trial[],
  front: readonly Trial[],
): Moment {
  const [after, setAfter] = useState<number | null>(null);
  const isPast = after !== null && after < finished.length;
  // A front takes all trials before it to work out, so it is only done for somebody who looks back.
  const course = useMemo(() => (isPast ? courseOf(job, finished) : null), [isPast, job, finished]);
  const last = finished[(isPast ? after : finished.length) - 1];
  const past = useMemo(
    () =>
      course && isPast
        ? {
            trials: endedBy(trials, last),
            kept: kept === trials ? null : endedBy(kept, last),
            front: course.frontAfter(after),
          }
        : null,
    [course, isPast, kept, trials, last, after],
  );
  const start = Date.parse(job.started_at ?? job.created_at);
  return {
    trials: past?.trials ?? trials,
    kept: past ? (past.kept ?? past.trials) : kept,
    front: past?.front ?? front,
    after: isPast ? after : null,
    of: finished.length,
    seconds: last ? (Date.parse(last.finished_at ?? "") - start) / 1000 : 0,
    setAfter: (next) => setAfter(next === null || next >= finished.length ? null : next),
  };
}

export function MomentSlider({ moment }: { moment: Moment }) {
  const { after, of, seconds, setAfter } = moment;
  if (of < 2) return null;
  const text =
    after === null
      ? `now, ${integer(of)} finished`
      : `${integer(after)} of ${integer(of)} finished, ${duration(seconds)}`;
  return (
    <label className="slider moment">
      Look back
      <input
        type="range"
        min={1}
        max={of}
        value={after ?? of}
        aria-valuetext={text}
        onChange={(event) => setAfter(Number(event.target.value))}
      />
      <output>{text}</output>
    </label>
  );
}
