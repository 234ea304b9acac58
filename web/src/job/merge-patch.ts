/** What makes one JSON object of another, after RFC 7396: `null` takes a field away; and what several have in common. */
import type { Json } from "../api/types";

export type Mapping = { [key: string]: Json };

export function mergePatch(before: Mapping, after: Mapping): Mapping {
  const patch: Mapping = {};
  for (const name of Object.keys(before)) if (!(name in after)) patch[name] = null;
  for (const [name, value] of Object.entries(after)) {
    const old = before[name];
    if (isMapping(old) && isMapping(value)) {
      const inner = mergePatch(old, value);
      if (Object.keys(inner).length) patch[name] = inner;
    } else if (!same(old, value)) patch[name] = value;
  }
  return patch;
}

/** The fields that are the same in all; of those that are mappings, the entries that are. */
export function inAll(mappings: readonly Mapping[]): Mapping {
  const [first = {}, ...others] = mappings;
  const shared: Mapping = {};
  for (const [name, value] of Object.entries(first)) {
    const theirs = others.map((other) => other[name]);
    if (isMapping(value) && theirs.every(isMapping)) {
      const inner = Object.entries(value).filter(([key, own]) => theirs.every((other) => same(own, other[key])));
      if (inner.length) shared[name] = Object.fromEntries(inner);
    } else if (theirs.every((other) => same(value, other))) shared[name] = value;
  }
  return shared;
}

/** Empty mappings in place of those of `before` that `after` leaves out: what is not shown of them stays. */
export const emptied = (before: Mapping, after: Mapping): Mapping => ({
  ...Object.fromEntries(Object.entries(before).flatMap(([name, value]) => (isMapping(value) ? [[name, {}]] : []))),
  ...after,
});

const same = (one: Json | undefined, other: Json | undefined): boolean => JSON.stringify(one) === JSON.stringify(other);

const isMapping = (value: Json | undefined): value is Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value);
