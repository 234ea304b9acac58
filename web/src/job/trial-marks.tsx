import type { Trial } from "../api/types";

/** On the front. */
export function FrontMark() {
  return (
    <span className="mark" data-mark="front">
      front
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
