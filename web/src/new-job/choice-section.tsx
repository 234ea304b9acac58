/** An optimizer or a scheduler with its options. */
import type { ChoiceView } from "../api/openapi";
import type { Json } from "../api/types";
import { Prose } from "../shell/prose";
import { at } from "./job-document";
import type { Schema } from "./schema";
import { type Form, problemsAt, SchemaField } from "./schema-field";

interface Props {
  form: Form;
  section: "optimizer" | "scheduler";
  choices: ChoiceView[];
  usual: string;
}

export function ChoiceSection({ form, section, choices, usual }: Props) {
  const name = String(at(form.job, [section, "name"]) ?? usual);
  const choice = choices.find((one) => one.name === name);
  const problems = problemsAt(form, [section]).filter(({ field }) => !field.startsWith(`${section}.options.`));
  const choose = (next: string) => form.write([section], next === usual ? undefined : { name: next });
  return (
    <>
      <div className="form-field" data-invalid={problems.length > 0 || undefined}>
        <label htmlFor={`choose-${section}`}>{section}</label>
        <select
          id={`choose-${section}`}
          value={name}
          aria-describedby={`about-${section}`}
          onChange={({ target }) => choose(target.value)}
        >
          {!choice && <option>{name}</option>}
          {choices.map((one) => (
            <option key={one.name}>{one.name}</option>
          ))}
        </select>
        <p className="hint muted" id={`about-${section}`}>
          <Prose text={choice?.summary ?? ""} />
        </p>
        {problems.length > 0 && <p className="field-problem">{problems.map(({ message }) => message).join(" ")}</p>}
      </div>
      {choice?.options.map((option) => (
        <SchemaField
          key={option.name}
          form={form}
          path={[section, "options", option.name]}
          schema={schemaOf(option.type, option.default as Json)}
        />
      ))}
    </>
  );
}

/** A Python annotation such as `int | None` or `Literal['map', 'nuts']` as a schema. */
function schemaOf(type: string, usual: Json): Schema {
  const words = [...type.matchAll(/'([^']+)'/g)].map(([, word]) => word ?? "");
  const kinds: Record<string, string> = { int: "integer", float: "number", bool: "boolean", str: "string" };
  const base = words.length ? { enum: words } : { type: kinds[type.split(" ")[0] ?? ""] ?? "array" };
  return { ...base, default: usual };
}
