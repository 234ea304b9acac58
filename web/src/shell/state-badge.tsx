import type { JobState, TrialState } from "../api/types";

/** A job's or trial's state as a word with a mark; never by colour alone. */
export function StateBadge({ state }: { state: JobState | TrialState }) {
  return (
    <span className="state" data-state={state}>
      {state}
    </span>
  );
}
