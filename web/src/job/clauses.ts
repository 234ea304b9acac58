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
  /** A number for `<=` and `>=`; for `==` one or more texts. */
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

/** Whether the trial meets every clause. Without the value that a clause asks for it does not. */
export const meets = (trial: Trial, clauses: readonly Clause[]): boolean =>
  clauses.every((clause) => holds(clause, valueIn(trial, clause.name)));

function holds({ relation, values }: Clause, value: Json | undefined): boolean {
  if (value === undefined || value === null) return relation === "==" && values.includes(NONE);
  if (relation === "==")
    // Of a list one entry is enough, and so is the whole as it reads on an axis.
    return (
      values.includes(String(value)) || (Array.isArray(value) && value.some((one) => values.includes(String(one))))
    );
  const bound = Number(values[0]);
  return typeof value === "number" && (relation === "<=" ? value <= bound : value >= bound);
}

/** The clauses with those on one name replaced. */
export const withClauses = (clauses: readonly Clause[], name: string, own: readonly Clause[]): Clause[] => [
  ...clauses.filter((clause) => clause.name !== name),
  ...own,
];
