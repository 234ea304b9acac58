/** What the trials will take: time from trials of the same model that ran here, memory from the sizes of its parts. */
import type { CostView, MemoryView } from "../api/openapi";
import { integer } from "../text/numbers";
import { duration } from "../text/time";

interface Props {
  cost: CostView | null;
  memory: MemoryView | null;
  sound: boolean;
}

export function Cost({ cost, memory, sound }: Props) {
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
          No trial of this model has run here, so nothing can be said of time. The job’s page estimates it after its
          first reports.
        </p>
      )}
      {memory && (
        <p>
          A trial takes about <strong>{integer(memory.training_mb_low)}</strong> to{" "}
          <strong>{integer(memory.training_mb_high)} MiB</strong> beside {integer(memory.base_mb)} MiB of the base
          {memory.limit_mb !== null && <>; this machine has {integer(memory.limit_mb)} MiB</>}.{" "}
          <span className="muted">From the sizes of the model, within a factor of two.</span>
        </p>
      )}
    </section>
  );
}

const span = (low: number, high: number): string =>
  duration(low) === duration(high) ? duration(low) : `${duration(low)} to ${duration(high)}`;
