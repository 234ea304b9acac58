/** What the page says about the engine that trained a trial. */
import type { Trial, WholeTrial } from "../api/types";

/** Why it was not the fast engine, or with whom the trial shared its passes; null when there is nothing to say. */
export function engineRemark(
  trial: Pick<Trial, "engine_reason">,
  environment: WholeTrial["environment"] = {},
): string | null {
  if (trial.engine_reason) return trial.engine_reason;
  const companions = environment.packed_with;
  return companions ? `packed with ${companions}` : null;
}
