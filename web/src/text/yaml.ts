/** JSON values as YAML text, for showing a job's spec and for starting a new job from it. */
import type { Json } from "../api/types";

const PLAIN = /^[A-Za-z_][A-Za-z0-9_./:+-]*(?: [A-Za-z0-9_./+-]+)*$/;
const RESERVED = /^(?:true|false|null|yes|no|on|off|y|n|nan|inf)$/i;

/** Block style; empty and all-scalar collections of one line stay in flow style. */
export function toYaml(value: Json): string {
  return block(value, "").replace(/^\n/, "") + "\n";
}

function block(value: Json, indent: string): string {
  if (isFlow(value)) return flow(value);
  if (Array.isArray(value)) {
    return value.map((item) => `\n${indent}- ${block(item, `${indent}  `).replace(/^\n\s*/, "")}`).join("");
  }
  const entries = Object.entries(value as Record<string, Json>);
  return entries
    .map(([key, item]) => `\n${indent}${scalar(key)}:${isFlow(item) ? " " : ""}${block(item, `${indent}  `)}`)
    .join("");
}

function isFlow(value: Json): boolean {
  if (value === null || typeof value !== "object") return true;
  const items = Array.isArray(value) ? value : Object.values(value);
  const scalars = items.every((item) => item === null || typeof item !== "object");
  return items.length === 0 || (Array.isArray(value) && scalars) || (scalars && items.length <= 2);
}

function flow(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (value === null || typeof value !== "object") return scalar(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${scalar(key)}: ${flow(item)}`)
    .join(", ")}}`;
}

function scalar(value: string | number | boolean | null): string {
  if (typeof value !== "string") return String(value);
  const plain = PLAIN.test(value) && !RESERVED.test(value) && !value.endsWith(":");
  return plain ? value : JSON.stringify(value);
}
