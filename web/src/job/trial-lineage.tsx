/** Whose training a trial's weights have seen, under population-based training: one row for each stretch. */
import { numberOf } from "../api/trial-set";
import type { Config, Stretch } from "../api/types";
import { configValue } from "../text/config";
import { short } from "../text/numbers";
import { Pairs } from "./pairs";

export function TrialLineage({ stretches }: { stretches: readonly Stretch[] }) {
  return (
    <Pairs
      mono
      entries={stretches.map((stretch, index) => ({
        name: `epochs ${short(stretch.from_epoch)}–${stretch.to_epoch === null ? "" : short(stretch.to_epoch)}`,
        value: `trial ${numberOf(stretch.trial_id)}${changes(stretches[index - 1]?.config, stretch.config)}`,
      }))}
    />
  );
}

/** What differs from the stretch before; nothing for the first, whose configuration stands in full elsewhere. */
function changes(before: Config | undefined, now: Config): string {
  if (!before) return "";
  return Object.entries(now)
    .filter(([name, value]) => before[name] !== value)
    .map(([name, value]) => ` · ${name}=${configValue(value)}`)
    .join("");
}
