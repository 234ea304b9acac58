import type { Progress } from "../api/types";

const parts = ["completed", "stopped", "failed", "running", "paused"] as const;

/** Finished and running trials as parts of the job's budget. */
export function ProgressBar({ progress, label }: { progress: Progress; label: string }) {
  const done = progress.completed + progress.stopped + progress.failed;
  const total = Math.max(1, progress.trials_total);
  const said = parts
    .filter((part) => progress[part] > 0)
    .map((part) => `${progress[part]} ${part}`)
    .join(", ");
  return (
    <div
      className="progress"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={progress.trials_total}
      aria-valuenow={done}
      aria-valuetext={`${done} of ${progress.trials_total} trials${said ? `: ${said}` : ""}`}
    >
      {parts.map(
        (part) =>
          progress[part] > 0 && (
            <span key={part} data-state={part} style={{ width: `${(100 * progress[part]) / total}%` }} />
          ),
      )}
    </div>
  );
}
