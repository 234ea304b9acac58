/** What makes one JSON object of another, after RFC 7396: `null` takes a field away. */
import type { Json } from "../api/types";

type Mapping = { [key: string]: Json };

export function mergePatch(before: Mapping, after: Mapping): Mapping {
  const patch: Mapping = {};
  for (const name of Object.keys(before)) if (!(name in after)) patch[name] = null;
  for (const [name, value] of Object.entries(after)) {
    const old = before[name];
    if (isMapping(old) && isMapping(value)) {
      const inner = mergePatch(old, value);
      if (Object.keys(inner).length) patch[name] = inner;
    } else if (JSON.stringify(old) !== JSON.stringify(value)) patch[name] = value;
  }
  return patch;
}

const isMapping = (value: Json | undefined): value is Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value);
