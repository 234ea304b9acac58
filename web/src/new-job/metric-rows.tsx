/** Objectives or constraints, one a row. */
import type { Json } from "../api/types";
import { at } from "./job-document";
import { type Form, problemsAt, SchemaField } from "./schema-field";

interface Props {
  form: Form;
  section: "objectives" | "constraints";
  metrics: string[];
}

export function MetricRows({ form, section, metrics }: Props) {
  const given = at(form.job, [section]);
  const rows = Array.isArray(given) ? given : [];
  const schema = form.schemas[section === "objectives" ? "ObjectiveSpec" : "ConstraintSpec"]?.properties ?? {};
  const unused = metrics.find((name) => !rows.some((row) => at(row, ["metric"]) === name)) ?? "loss";
  const fresh: Json = section === "objectives" ? { metric: unused, direction: "minimize" } : { metric: unused, max: 1 };
  const noun = section.slice(0, -1);
  const whole = problemsAt(form, [section]).filter(({ field }) => field === section);
  const remove = (index: number) => {
    const left = rows.filter((_, other) => other !== index);
    form.write([section], left.length || section === "objectives" ? left : undefined);
  };
  return (
    <>
      {rows.map((_, index) => (
        <div className="form-row" role="group" aria-label={`${noun} ${index + 1}`} key={index}>
          {Object.entries(schema).map(([name, field]) => (
            <SchemaField
              key={name}
              form={form}
              path={[section, index, name]}
              schema={field}
              offered={name === "metric" ? metrics : []}
            />
          ))}
          <button
            type="button"
            className="small"
            aria-label={`Remove ${noun} ${index + 1}`}
            onClick={() => remove(index)}
          >
            Remove
          </button>
        </div>
      ))}
      {whole.length > 0 && <p className="field-problem">{whole.map(({ message }) => message).join(" ")}</p>}
      <button type="button" className="small" onClick={() => form.write([section, rows.length], fresh)}>
        Add {section === "objectives" ? "an objective" : "a constraint"}
      </button>
    </>
  );
}
