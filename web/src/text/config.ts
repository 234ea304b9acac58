/** A trial's configuration on one line. */
import type { Config, Json } from "../api/types";
import { short } from "./numbers";

export interface Knob {
  name: string;
  /** Empty for a switch that is on; a switch that is off is left out. */
  value: string;
}

/** Keys that read better short; everything else keeps its name. */
const shortNames: Record<string, string> = {
  learning_rate: "lr",
  batch_size: "batch",
  use_rslora: "rslora",
  use_dora: "dora",
  weight_decay: "decay",
  warmup_ratio: "warmup",
  max_grad_norm: "clip",
  gradient_accumulation: "accumulate",
};

/** A value as text: numbers short, booleans as words. */
export function configValue(value: Json): string {
  if (typeof value === "number") return short(value);
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map(configValue).join(", ")}]`;
  return JSON.stringify(value);
}

/** Everything but the method, in the order given. Numbered switches such as `layer_0 … layer_5` become one pattern `●○●●○○`. */
export function knobs(config: Config): Knob[] {
  const method = methodName(config);
  const result: Knob[] = [];
  const switches = new Map<string, Knob>();
  for (const [key, value] of Object.entries(config)) {
    if (key === "method") continue;
    const name = key.startsWith(`${method}.`) ? key.slice(method.length + 1) : key;
    const stem = typeof value === "boolean" ? /^(.+)_\d+$/.exec(name)?.[1] : undefined;
    if (stem === undefined) {
      if (value !== false)
        result.push({ name: shortNames[name] ?? name, value: value === true ? "" : configValue(value) });
      continue;
    }
    const known = switches.get(stem);
    if (known) known.value += value ? "●" : "○";
    else {
      const knob = { name: `${stem}s`, value: value ? "●" : "○" };
      switches.set(stem, knob);
      result.push(knob);
    }
  }
  return result;
}

/** The PEFT method of a configuration. */
export const methodName = (config: Config): string => String(config.method ?? "–");

/** `lora rank=8 alpha=16 lr=2e-4`. */
export function configLine(config: Config): string {
  return [
    methodName(config),
    ...knobs(config).map((knob) => (knob.value ? `${knob.name}=${knob.value}` : knob.name)),
  ].join(" ");
}
