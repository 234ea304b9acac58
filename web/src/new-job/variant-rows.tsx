/** A list of objects of several kinds, such as the steps of a refine job: each entry with the fields of its kind. */
import type { Json } from "../api/types";
import { Prose } from "../shell/prose";
import { at, type Path } from "./job-document";
import type { Variants } from "./schema";
import { type Form, problemsAt, SchemaField } from "./schema-field";

interface Props {
  form: Form;
  path: Path;
  variants: Variants;
  description: string | undefined;
}

export function VariantRows({ form, path, variants, description }: Props) {
  const given = at(form.job, path);
  const rows = Array.isArray(given) ? given : [];
  const noun = variants.named;
  const write = (next: Json[]) => form.write(path, next.length ? next : undefined);
  const whole = problemsAt(form, path).filter(({ field }) => field === path.join("."));
  const first = Object.keys(variants.of)[0] ?? "";
  return (
    <fieldset className="form-rows">
      <legend>{path.at(-1)}</legend>
      {description && (
        <p className="hint muted">
          <Prose text={description} />
        </p>
      )}
      {rows.map((row, index) => (
        <div className="form-row" role="group" aria-label={`${noun} ${index + 1}`} key={index}>
          <Row form={form} path={[...path, index]} variants={variants} />
          <p className="actions">
            {index > 0 && (
              <button
                type="button"
                className="small"
                aria-label={`Move ${noun} ${index + 1} up`}
                onClick={() => write(rows.with(index - 1, row).with(index, rows[index - 1] as Json))}
              >
                Move up
              </button>
            )}
            <button
              type="button"
              className="small"
              aria-label={`Remove ${noun} ${index + 1}`}
              onClick={() => write(rows.toSpliced(index, 1))}
            >
              Remove
            </button>
          </p>
        </div>
      ))}
      {whole.length > 0 && <p className="field-problem">{whole.map(({ message }) => message).join(" ")}</p>}
      <button type="button" className="small" onClick={() => write([...rows, { [noun]: first }])}>
        Add a {noun}
      </button>
    </fieldset>
  );
}

/** One entry. Another kind begins with none of the options of the one before. */
function Row({ form, path, variants }: { form: Form; path: Path; variants: Variants }) {
  const { named, of } = variants;
  const kind = String(at(form.job, [...path, named]) ?? "");
  const schema = of[kind];
  const id = `choose-${path.join("-")}`;
  const problems = problemsAt(form, [...path, named]);
  const required = new Set(schema?.required);
  const fields = Object.entries(schema?.properties ?? {}).filter(([name]) => name !== named);
  const field = ([name, inner]: (typeof fields)[number]) => (
    <SchemaField key={name} form={form} path={[...path, name]} schema={inner} required={required.has(name)} />
  );
  const options = fields.filter(([name]) => !required.has(name));
  const written = options.some(
    ([name]) => at(form.job, [...path, name]) !== undefined || problemsAt(form, [...path, name]).length > 0,
  );
  return (
    <>
      <div className="form-field" data-invalid={problems.length > 0 || undefined}>
        <label htmlFor={id}>{named}</label>
        <select
          id={id}
          value={kind}
          aria-describedby={`${id}-about`}
          aria-invalid={problems.length > 0}
          onChange={({ target }) => form.write(path, { [named]: target.value })}
        >
          {!schema && <option>{kind}</option>}
          {Object.keys(of).map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <p className="hint muted" id={`${id}-about`}>
          <Prose text={schema?.description ?? ""} />
        </p>
        {problems.length > 0 && <p className="field-problem">{problems.map(({ message }) => message).join(" ")}</p>}
      </div>
      {fields.filter(([name]) => required.has(name)).map(field)}
      {options.length > 0 && (
        <details open={written}>
          <summary>{options.length === 1 ? "1 option" : `${options.length} options`}</summary>
          {options.map(field)}
        </details>
      )}
    </>
  );
}
