/** One field of a job, asked for as its schema wants it, with what is wrong with it below. */
import { useId, useState } from "react";
import type { FieldError, Json } from "../api/types";
import { Prose } from "../shell/prose";
import { configValue } from "../text/config";
import { at, type Change, type Path, scalar } from "./job-document";
import { type Asked, asked, type Schema, type Schemas, variantsOf } from "./schema";
import { VariantRows } from "./variant-rows";

/** What every part of the form reads and changes. */
export interface Form {
  job: { [key: string]: Json };
  problems: readonly FieldError[];
  schemas: Schemas;
  /** Write `value` at `path`, and what changes with it. */
  write: (path: Path, value: Json | undefined, also?: readonly Change[]) => void;
}

interface Props {
  form: Form;
  path: Path;
  schema: Schema;
  required?: boolean;
  /** Words to offer beside those of the schema. */
  offered?: readonly string[];
  label?: string;
}

/** Problems of a field itself, or of a part of it that has no field of its own. */
export function problemsAt({ problems }: Form, path: Path): FieldError[] {
  const name = path.join(".");
  return problems.filter(({ field }) => `${field.replace(/\[(\w+)\]/g, ".$1")}.`.startsWith(`${name}.`));
}

export function SchemaField(props: Props) {
  const { form, path, schema } = props;
  const variants = variantsOf(schema, form.schemas);
  if (variants) return <VariantRows {...{ form, path, variants }} description={schema.description} />;
  return <SingleField {...props} />;
}

function SingleField({ form, path, schema, required = false, offered = [], label }: Props) {
  const id = useId();
  const how = asked(schema, form.schemas);
  const name = label ?? String(path.at(-1));
  const problems = problemsAt(form, path);
  const value = at(form.job, path);
  const described = [schema.description && `${id}-hint`, problems.length && `${id}-problem`].filter(Boolean).join(" ");
  const shared = {
    id,
    "aria-describedby": described || undefined,
    "aria-invalid": problems.length > 0,
    "aria-required": required || undefined,
  };
  const change = (next: Json | undefined) => form.write(path, next);
  return (
    <div className="form-field" data-kind={how.kind} data-invalid={problems.length > 0 || undefined}>
      <label htmlFor={id}>
        {name}
        {required && <span className="muted"> required</span>}
      </label>
      <Widget how={how} schema={schema} value={value} offered={offered} shared={shared} onChange={change} />
      {schema.description && (
        <p className="hint muted" id={`${id}-hint`}>
          <Prose text={schema.description} />
        </p>
      )}
      {problems.length > 0 && (
        <p className="field-problem" id={`${id}-problem`}>
          {problems.map((problem) => problem.message).join(" ")}
        </p>
      )}
    </div>
  );
}

interface WidgetProps {
  how: Asked;
  schema: Schema;
  value: Json | undefined;
  offered: readonly string[];
  shared: Record<string, unknown>;
  onChange: (value: Json | undefined) => void;
}

function Widget({ how, schema, value, offered, shared, onChange }: WidgetProps) {
  if (how.kind === "switch")
    return (
      <input
        {...shared}
        type="checkbox"
        checked={(value ?? schema.default) === true}
        onChange={({ target }) => onChange(target.checked === schema.default ? undefined : target.checked)}
      />
    );
  const choices = [...new Set([...how.choices, ...offered])];
  if (how.kind === "choice" || (how.kind === "text" && offered.length > 0))
    return <Choice {...{ choices, schema, value, shared, onChange }} />;
  return <Text {...{ how, schema, value, choices, shared, onChange }} />;
}

type ChoiceProps = Pick<WidgetProps, "schema" | "value" | "shared" | "onChange"> & { choices: string[] };

function Choice({ choices, schema, value, shared, onChange }: ChoiceProps) {
  const given = value === undefined || value === null ? "" : String(value);
  const usual =
    schema.default === undefined || schema.default === null ? "–" : `${configValue(schema.default)} (default)`;
  return (
    <select {...shared} value={given} onChange={({ target }) => onChange(target.value || undefined)}>
      <option value="">{usual}</option>
      {given && !choices.includes(given) && <option>{given}</option>}
      {choices.map((choice) => (
        <option key={choice}>{choice}</option>
      ))}
    </select>
  );
}

type TextProps = Pick<WidgetProps, "how" | "schema" | "value" | "shared" | "onChange"> & { choices: string[] };

/** What is being written may be on its way to a value, such as `0.` to `0.5`: it stays until the value is another. */
function Text({ how, schema, value, choices, shared, onChange }: TextProps) {
  const shown = value === undefined || value === null ? "" : asText(value);
  const [draft, setDraft] = useState(shown);
  const same = asText(scalar(draft) ?? null) === shown || draft === shown;
  const range = [how.low !== undefined && `from ${how.low}`, how.high !== undefined && `to ${how.high}`];
  const usual = schema.default === undefined || schema.default === null ? "" : configValue(schema.default);
  return (
    <input
      {...shared}
      type="text"
      inputMode={how.kind === "number" ? (how.whole ? "numeric" : "decimal") : undefined}
      value={same ? draft : shown}
      placeholder={usual || choices.join(", ")}
      title={range.filter(Boolean).join(" ") || undefined}
      spellCheck={false}
      autoComplete="off"
      onChange={({ target }) => {
        setDraft(target.value);
        onChange(scalar(target.value));
      }}
    />
  );
}

const asText = (value: Json): string => {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};
