/** From a field's JSON schema to how it is asked for. */
import type { Json } from "../api/types";

/** As much of JSON schema as pydantic writes for sections of jobs. */
export interface Schema {
  $ref?: string;
  type?: string;
  enum?: Json[];
  const?: Json;
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  default?: Json;
  description?: string;
  examples?: Json[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  discriminator?: { propertyName: string };
}
export type Schemas = Record<string, Schema>;

export interface Asked {
  kind: "choice" | "switch" | "number" | "text" | "yaml";
  /** Of a choice; of a text or number: words that it may be instead. */
  choices: string[];
  low: number | undefined;
  high: number | undefined;
  whole: boolean;
}

/** The schema that a reference leads to. */
export const resolved = (schema: Schema, schemas: Schemas): Schema =>
  schema.$ref ? { ...schemas[schema.$ref.split("/").at(-1) ?? ""], ...schema } : schema;

export function asked(schema: Schema, schemas: Schemas): Asked {
  const branches = flat(schema, schemas).filter((branch) => branch.type !== "null");
  const words = branches.flatMap((branch) => branch.enum ?? (branch.const === undefined ? [] : [branch.const]));
  const rest = branches.filter((branch) => branch.enum === undefined && branch.const === undefined);
  const choices = words.map(String);
  const only = rest[0];
  const numeric = only?.type === "integer" || only?.type === "number";
  return {
    kind: kindOf(rest, choices),
    choices,
    low: numeric ? (only.minimum ?? only.exclusiveMinimum) : undefined,
    high: numeric ? (only.maximum ?? only.exclusiveMaximum) : undefined,
    whole: only?.type === "integer",
  };
}

function kindOf(rest: Schema[], choices: string[]): Asked["kind"] {
  const [only, ...others] = rest;
  if (!only) return choices.length ? "choice" : "yaml";
  if (others.length) return rest.every(({ type }) => type !== "object" && type !== "array") ? "text" : "yaml";
  if (only.type === "boolean") return choices.length ? "yaml" : "switch";
  if (only.type === "integer" || only.type === "number") return choices.length ? "text" : "number";
  return only.type === "string" ? "text" : "yaml";
}

const flat = (schema: Schema, schemas: Schemas): Schema[] => {
  const whole = resolved(schema, schemas);
  const branches = whole.anyOf ?? whole.oneOf;
  return branches ? branches.flatMap((branch) => flat(branch, schemas)) : [whole];
};

/** Objects of several kinds: the field that tells the kind, and the schema of each. */
export interface Variants {
  named: string;
  of: Record<string, Schema>;
}

/** The kinds of entries of a list; null where it is no list of objects that a field tells apart. */
export function variantsOf(schema: Schema, schemas: Schemas): Variants | null {
  const { items } = resolved(schema, schemas);
  const named = items?.discriminator?.propertyName;
  if (!items || named === undefined) return null;
  const kinds = flat(items, schemas).flatMap((one) =>
    asked(one.properties?.[named] ?? {}, schemas).choices.map((kind): [string, Schema] => [kind, one]),
  );
  return { named, of: Object.fromEntries(kinds) };
}
