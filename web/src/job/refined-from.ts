/** Where the trials of a refine job come from. */
import type { Job, Trial } from "../api/types";
import { kindOf } from "./kind";

/** What its first trials are called, and what the others say of those that they began with. */
const SOURCE = "source";
const OF = "refine.of";

/** Trials of other jobs whose adapters a refine job began with, each with its number there; of other jobs none. */
export function startsOf(job: Job): (string | null)[] {
  const adapters = job.spec["adapters"];
  if (kindOf(job) !== "refine" || !Array.isArray(adapters)) return [];
  return (adapters as { trial?: string | null }[]).map(({ trial }) => trial ?? null);
}

/** Ids of the trials that a trial of a refine job began with. */
export function sourcesOf(job: Job, trial: Trial): string[] {
  if (kindOf(job) !== "refine") return [];
  if (trial.label === SOURCE) return [startsOf(job)[trial.number]].filter((id) => typeof id === "string");
  const named = trial.config[OF];
  return typeof named === "string" ? named.split("+").map((number) => `${job.id}-${number}`) : [];
}
