/** The form of a job that is no search: each field and section of its kind, as the kind's schema has them. */
import type { Catalogue } from "./catalogue";
import { Part } from "./form-part";
import { at, typeOf } from "./job-document";
import { KindField, schemaOfKind } from "./kind-field";
import { MetricRows } from "./metric-rows";
import { resolved, type Schema, type Schemas } from "./schema";
import { type Form, SchemaField } from "./schema-field";
import { TaskSection } from "./task-section";

export function KindForm({ form, catalogue, kind }: { form: Form; catalogue: Catalogue; kind: string }) {
  const schema = schemaOfKind(form.schemas, kind);
  const fields = Object.entries(schema?.properties ?? {}).filter(([name]) => name !== "kind");
  const required = new Set(schema?.required);
  const sections = fields.filter(
    ([name, field]) => name === "task" || isMetrics(name) || sectionOf(field, form.schemas),
  );
  const plain = fields.filter((field) => !sections.includes(field));
  const type = typeOf(form.job);
  return (
    <div className="job-form">
      <Part title="Job">
        <KindField form={form} kind={kind} />
        {[...plain]
          .sort(([a], [b]) => Number(required.has(b)) - Number(required.has(a)))
          .map(([name, field]) => (
            <SchemaField key={name} form={form} path={[name]} schema={field} required={required.has(name)} />
          ))}
      </Part>
      {sections.map(([name, field]) => {
        if (name === "task")
          return (
            <TaskSection
              key={name}
              {...{ form, type }}
              tasks={catalogue.tasks}
              task={catalogue.tasks.find((one) => one.name === type)}
            />
          );
        if (isMetrics(name))
          return (
            <Part key={name} title={titleOf(name)}>
              <MetricRows form={form} section={name} metrics={catalogue.metrics.map((one) => one.name)} />
            </Part>
          );
        return (
          <Section key={name} {...{ form, name }} schema={sectionOf(field, form.schemas)} open={required.has(name)} />
        );
      })}
    </div>
  );
}

const isMetrics = (name: string): name is "objectives" | "constraints" =>
  name === "objectives" || name === "constraints";

interface SectionProps {
  form: Form;
  name: string;
  schema: Schema | null;
  /** What must be written stands open; of the rest, what has been. */
  open: boolean;
}

function Section({ form, name, schema, open }: SectionProps) {
  const required = new Set(schema?.required);
  return (
    <details className="form-part" open={open || at(form.job, [name]) !== undefined}>
      <summary>{titleOf(name)}</summary>
      {Object.entries(schema?.properties ?? {}).map(([field, inner]) => (
        <SchemaField key={field} form={form} path={[name, field]} schema={inner} required={required.has(field)} />
      ))}
    </details>
  );
}

/** The one object that a field may hold, where it has fields of its own. */
function sectionOf(field: Schema, schemas: Schemas): Schema | null {
  const whole = resolved(field.anyOf?.find(({ $ref }) => $ref) ?? field, schemas);
  return whole.properties ? whole : null;
}

const titleOf = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
