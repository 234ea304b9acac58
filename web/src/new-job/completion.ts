/** What could be written at a place of a job file: names of fields, and values where they are known. */
import type { CompletionContext, CompletionResult, CompletionSource } from "@codemirror/autocomplete";
import { readJob, typeOf } from "./job-document";
import type { Catalogue } from "./catalogue";
import { asked, resolved, type Schema } from "./schema";

/** Names of the sections around a line, outermost first: those that are indented less. */
export function sectionsAround(lines: readonly string[], index: number): string[] {
  const path: string[] = [];
  let indent = depth(lines[index] ?? "");
  for (let above = index - 1; above >= 0 && indent > 0; above--) {
    const line = lines[above] ?? "";
    const name = /^\s*(?:- )?([\w.-]+):/.exec(line)?.[1];
    if (!name || depth(line) >= indent) continue;
    indent = depth(line);
    path.unshift(name);
  }
  return path;
}

const depth = (line: string): number => /^ */.exec(line)?.[0].length ?? 0;

export function completionOf(catalogue: Catalogue | undefined): CompletionSource {
  return (context: CompletionContext): CompletionResult | null => {
    if (!catalogue) return null;
    const line = context.state.doc.lineAt(context.pos);
    const before = line.text.slice(0, context.pos - line.from);
    const word = /[\w.:/-]*$/.exec(before)?.[0] ?? "";
    if (!word && !context.explicit) return null;
    const lines = context.state.doc.toString().split("\n");
    const path = sectionsAround(lines, line.number - 1);
    const schema = schemaAt(catalogue, context.state.doc.toString(), path);
    const key = /(?:^|[\s{,-])([\w.-]+): *[^,{]*$/.exec(before)?.[1];
    const options = key ? valuesOf(catalogue, schema?.properties?.[key], path, key) : namesOf(schema);
    return options.length ? { from: context.pos - word.length, options, validFor: /^[\w.:/-]*$/ } : null;
  };
}

function schemaAt(catalogue: Catalogue, text: string, path: readonly string[]): Schema | undefined {
  let schema: Schema | undefined = catalogue.schemas["JobSpec"];
  for (const step of path) {
    const next: Schema | undefined = schema?.properties?.[step];
    schema = next && resolved(next.items ?? next, catalogue.schemas);
    if (step === "task" && path.length === 1) schema = taskSchema(catalogue, text) ?? schema;
  }
  return schema;
}

function taskSchema({ tasks }: Catalogue, text: string): Schema | undefined {
  const type = typeOf(readJob(text) ?? {});
  const fields = tasks.find(({ name }) => name === type)?.fields;
  return fields && { properties: Object.fromEntries(fields.map(({ name, schema }) => [name, schema as Schema])) };
}

const namesOf = (schema: Schema | undefined) =>
  Object.entries(schema?.properties ?? {}).map(([name, { description = "" }]) => ({
    label: name,
    apply: `${name}: `,
    type: "property",
    info: description,
  }));

function valuesOf(catalogue: Catalogue, schema: Schema | undefined, path: readonly string[], key: string) {
  const named: Record<string, { name: string }[]> = {
    metric: catalogue.metrics,
    type: catalogue.tasks,
    name: path[0] === "optimizer" ? catalogue.optimizers : path[0] === "scheduler" ? catalogue.schedulers : [],
  };
  const words = [
    ...(schema ? asked(schema, catalogue.schemas).choices : []),
    ...(named[key] ?? []).map((one) => one.name),
  ];
  return [...new Set(words)].map((label) => ({ label, type: "constant" }));
}
