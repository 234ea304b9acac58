/**
 * Conditions on trials, such as `rank<=8` or `method==lora|ia3`. They stand in the address as `where=…`, so that what is
 * brushed, filtered and exported is one thing, survives a reload and can be sent to somebody.
 */
import type { Json, Trial } from "../api/types";

export type Relation = "<=" | ">=" | "==";

export interface Clause {
  /** `number`, `state`, `origin`, `tags`, a metric or a parameter of the configuration. */
  name: string;
  relation: Relation;
  /** A number for `<=` and `>=`; for `==` one or more texts, where those of `number` may be runs such as `3-7`. */
  values: readonly string[];
}

/** What `==` asks for where a trial has no such value. */
export const NONE = "(none)";

const FORM = /^(.+?)(<=|>=|==)(.+)$/;

/** Clauses of the address; what cannot be read as one is left out. */
export const parseClauses = (texts: readonly string[]): Clause[] => texts.flatMap((text) => parseClause(text) ?? []);

export function parseClause(text: string): Clause | null {
  const [, name, relation, value] = FORM.exec(text.trim()) ?? [];
  if (!name || !relation || !value) return null;
  if (relation !== "==" && !Number.isFinite(Number(value))) return null;
  return {
    name: name.trim(),
    relation: relation as Relation,
    values: relation === "==" ? value.split("|") : [value.trim()],
  };
}

export const clauseText = ({ name, relation, values }: Clause): string => `${name}${relation}${values.join("|")}`;

/** What a trial has under a name; a metric goes before a parameter of the same name. */
export function valueIn(trial: Trial, name: string): Json | undefined {
  if (name === "number" || name === "state" || name === "origin" || name === "tags") return trial[name];
  return trial.metrics[name] ?? trial.config[name];
}

type Test = (trial: Trial) => boolean;

/** What tells whether a trial meets every clause. Without the value that a clause asks for it does not. */
export function meeting(clauses: readonly Clause[]): Test {
  const tests = clauses.map(testOf);
  return (trial) => tests.every((test) => test(trial));
}

function testOf({ name, relation, values }: Clause): Test {
  if (relation === "==" && name === "number") return isInRuns(values);
  if (relation === "==") {
    const wanted = new Set(values);
    return (trial) => isOneOf(wanted, valueIn(trial, name) ?? undefined);
  }
  const bound = Number(values[0]);
  return (trial) => {
    const value = valueIn(trial, name);
    return typeof value === "number" && (relation === "<=" ? value <= bound : value >= bound);
  };
}

/** Of a list one entry is enough, and so is the whole as it reads on an axis. */
const isOneOf = (wanted: ReadonlySet<string>, value: Json | undefined): boolean =>
  wanted.has(value === undefined ? NONE : String(value)) ||
  (Array.isArray(value) && value.some((one) => wanted.has(String(one))));

const RUN = /^(\d+)(?:-(\d+))?$/;

/** Numbers of trials, such as `3` and `7-12`. */
function isInRuns(values: readonly string[]): Test {
  const runs = values
    .flatMap((text): [number, number][] => {
      const [, first, last] = RUN.exec(text.trim()) ?? [];
      return first === undefined ? [] : [[Number(first), Number(last ?? first)]];
    })
    .sort(([one], [other]) => one - other);
  return ({ number }) => {
    let [low, high] = [0, runs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((runs[middle]?.[0] ?? 0) <= number) low = middle + 1;
      else high = middle;
    }
    return low > 0 && number <= (runs[low - 1]?.[1] ?? -1);
  };
}

/** The clauses with what they ask of numbers replaced: a trial must be one of these. */
export function withNumbers(clauses: readonly Clause[], numbers: ReadonlySet<number>): Clause[] {
  const runs: [number, number][] = [];
  for (const number of [...numbers].sort((one, other) => one - other)) {
    const last = runs.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  const values = runs.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`));
  return withClauses(clauses, "number", [{ name: "number", relation: "==", values }]);
}

/** The clauses with those on one name replaced. */
export const withClauses = (clauses: readonly Clause[], name: string, own: readonly Clause[]): Clause[] => [
  ...clauses.filter((clause) => clause.name !== name),
  ...own,
];
