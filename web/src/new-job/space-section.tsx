/** The `space` section: a preset scaled to the model, with its parameters, any of which may be fixed. */
import { useQuery } from "@tanstack/react-query";
import { listSpaces } from "../api/client";
import type { Config, Json } from "../api/types";
import { configValue } from "../text/config";
import { integer } from "../text/numbers";
import { at, scalar, typeOf } from "./job-document";
import { Part } from "./form-part";
import { type Form, problemsAt, SchemaField } from "./schema-field";

export function SpaceSection({ form }: { form: Form }) {
  const model = String(at(form.job, ["task", "model"]) ?? "builtin:minilm");
  const type = typeOf(form.job);
  const spaces = useQuery({
    queryKey: ["spaces", model, type],
    queryFn: ({ signal }) => listSpaces(model, type, signal),
    staleTime: Infinity,
    retry: false,
    placeholderData: (before) => before,
  });
  const preset = at(form.job, ["space", "preset"]);
  const space = spaces.data?.find(({ name }) => name === preset);
  const further = space?.further ?? [];
  const fields = form.schemas["SpaceSpec"]?.properties ?? {};
  const others = ["strategies", "method", "parameters", "conditions", "constraints"];
  return (
    <Part title="Space">
      {fields["preset"] && (
        <SchemaField
          form={form}
          path={["space", "preset"]}
          schema={fields["preset"]}
          offered={spaces.data?.map(({ name }) => name) ?? []}
        />
      )}
      {space && (
        <details>
          <summary>
            {space.parameters.length} parameters
            {space.configurations !== null && `, ${integer(space.configurations)} configurations`}
          </summary>
          {space.parameters.map((parameter) => (
            <Fixed key={String(parameter["name"])} form={form} parameter={parameter as Config} />
          ))}
        </details>
      )}
      {further.length > 0 && (
        <details>
          <summary>Further training settings</summary>
          {further.map((parameter) => (
            <Fixed key={String(parameter["name"])} form={form} parameter={parameter as Config} />
          ))}
        </details>
      )}
      <details>
        <summary>A space of your own</summary>
        {others.map((name) => {
          const schema = fields[name];
          return schema && <SchemaField key={name} form={form} path={["space", name]} schema={schema} />;
        })}
      </details>
    </Part>
  );
}

/** A parameter as the preset has it, or fixed to one value by an override. */
function Fixed({ form, parameter }: { form: Form; parameter: Config }) {
  const name = String(parameter["name"]);
  const path = ["space", "overrides", name];
  const value = at(form.job, [...path, "value"]);
  const problems = problemsAt(form, path);
  const id = `fix-${name}`;
  const fix = (text: string) => {
    const next = scalar(text);
    form.write(path, next === undefined ? undefined : { value: next });
  };
  return (
    <div className="form-field" data-invalid={problems.length > 0 || undefined}>
      <label htmlFor={id}>{name}</label>
      <input
        id={id}
        type="text"
        value={value === undefined ? "" : String(value)}
        placeholder={rangeOf(parameter)}
        aria-invalid={problems.length > 0}
        autoComplete="off"
        onChange={({ target }) => fix(target.value)}
      />
      {problems.length > 0 && <p className="field-problem">{problems.map(({ message }) => message).join(" ")}</p>}
    </div>
  );
}

function rangeOf({ choices, values, low, high, scale }: Config): string {
  const list = (choices ?? values) as Json[] | undefined;
  if (Array.isArray(list)) return list.map(configValue).join(", ");
  if (low === undefined || high === undefined) return "";
  return `${configValue(low ?? null)} to ${configValue(high ?? null)}${scale === "log" ? ", log" : ""}`;
}
