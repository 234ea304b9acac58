/** A question in the fields of its schema, as the service's OpenAPI document has it. */
import { ApiError } from "../api/client";
import type { Values } from "../api/asking";
import type { FieldError, Json } from "../api/types";
import type { Schema, Schemas } from "../new-job/schema";
import { SchemaField } from "../new-job/schema-field";

interface Props {
  schema: Schema;
  schemas: Schemas;
  values: Values;
  error: Error | null;
  offered?: Record<string, readonly string[]>;
  onChange: (values: Values) => void;
}

export function QuestionForm({ schema, schemas, values, error, offered = {}, onChange }: Props) {
  const write = ([name]: readonly (string | number)[], value: Json | undefined) => {
    const { [String(name)]: _, ...others } = values;
    onChange(value === undefined ? others : { ...others, [String(name)]: value });
  };
  const form = { job: values, problems: problemsOf(error), schemas, write };
  return Object.entries(schema.properties ?? {}).map(([name, field]) => (
    <SchemaField
      key={name}
      form={form}
      path={[name]}
      schema={field}
      required={schema.required?.includes(name) ?? false}
      offered={offered[name] ?? []}
    />
  ));
}

/** Example values of the fields that must be there, so that the first question is one that has an answer. */
export const exampleOf = (schema: Schema): Values =>
  Object.fromEntries(
    (schema.required ?? []).flatMap((name) => {
      const example = schema.properties?.[name]?.examples?.[0];
      return example === undefined ? [] : [[name, example]];
    }),
  );

export const isWhole = (schema: Schema, values: Values): boolean =>
  (schema.required ?? []).every((name) => values[name] !== undefined && values[name] !== null);

const problemsOf = (error: Error | null): FieldError[] => (error instanceof ApiError ? error.errors : []);
