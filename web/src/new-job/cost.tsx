/** What the trials will take, from trials of the same model that ran here. */
import type { CostView } from "../api/openapi";
import { integer } from "../text/numbers";
import { duration } from "../text/time";

export function Cost({ cost, sound }: { cost: CostView | null; sound: boolean }) {
  if (!sound) return null;
  return (
    <section aria-label="Estimate">
      <h2>Estimate</h2>
      {cost ? (
        <p>
          {integer(cost.trials)} trials take <strong>{span(cost.seconds_low, cost.seconds_high)}</strong> of training on
          one worker
          {cost.memory_mb !== null && (
            <>
              , with up to <strong>{integer(cost.memory_mb)} MiB</strong> beside the base
            </>
          )}
          . <span className="muted">Measured on {cost.measured} trials of this model.</span>
        </p>
      ) : (
        <p className="muted">
          No trial of this model has run here, so nothing can be said of time and memory. The job’s page estimates both
          after its first reports.
        </p>
      )}
    </section>
  );
}

const span = (low: number, high: number): string =>
  duration(low) === duration(high) ? duration(low) : `${duration(low)} to ${duration(high)}`;
