/** An event's payload as a sentence. */
import { numberOf } from "../api/trial-set";
import type { Config, Json, Metrics, Objective } from "../api/types";
import { configLine, configValue } from "../text/config";
import { metricValue } from "../text/numbers";

type Payload = Record<string, unknown>;

/** What the line says elsewhere, or what would fill it: the spec has a tab, a worker its trial's drawer. */
const silent = new Set([
  "job_id",
  "trial_id",
  "number",
  "created_at",
  "attempt",
  "on_front",
  "spec",
  "worker_id",
  "origin",
]);

export function logMessage(kind: string, payload: Payload, objectives: readonly Objective[]): string {
  if (kind === "front") return frontMessage(payload);
  return Object.entries(payload)
    .filter(([name, value]) => !silent.has(name) && value !== null && value !== "")
    .map(([name, value]) => part(name, value, objectives))
    .filter(Boolean)
    .join(" · ");
}

function part(name: string, value: unknown, objectives: readonly Objective[]): string {
  if (name === "config") return configLine(value as Config);
  if (name === "metrics") {
    const metrics = value as Metrics;
    return objectives
      .filter(({ metric }) => metric in metrics)
      .map(({ metric }) => `${metric} ${metricValue(metrics[metric])}`)
      .join(" · ");
  }
  const text = configValue(value as Json);
  return ["message", "reason", "state", "label"].includes(name) ? text : `${name}: ${text}`;
}

function frontMessage({ joined, left, size }: Payload): string {
  return [trials(joined, "joined"), trials(left, "left"), `size ${String(size)}`].filter(Boolean).join(" · ");
}

function trials(ids: unknown, what: string): string {
  if (!Array.isArray(ids) || ids.length === 0) return "";
  const numbers = ids.map((id) => numberOf(String(id))).join(", ");
  return `${ids.length === 1 ? "trial" : "trials"} ${numbers} ${what}`;
}
