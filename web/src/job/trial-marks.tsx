import type { Job, Trial } from "../api/types";
import { frontWords } from "./front-words";

/** On the front, or the best where there is one objective. */
export function FrontMark({ job }: { job: Pick<Job, "objectives"> }) {
  return (
    <span className="mark" data-mark="front">
      {frontWords(job.objectives).mark}
    </span>
  );
}

/** A trial that the search is measured against, by its name; nothing for others. */
export function ReferenceMark({ trial }: { trial: Trial }) {
  if (trial.origin !== "reference") return null;
  return (
    <span className="mark" data-mark="reference">
      {trial.label ?? "reference"}
    </span>
  );
}
