/** The form beside the text: every section of a search, from the schemas that the service gives. */
import { typeOf } from "./job-document";
import type { Catalogue } from "./catalogue";
import { ChoiceSection } from "./choice-section";
import { Part } from "./form-part";
import { KindField } from "./kind-field";
import { MetricRows } from "./metric-rows";
import { resolved, type Schema } from "./schema";
import { type Form, SchemaField } from "./schema-field";
import { SpaceSection } from "./space-section";
import { TaskSection } from "./task-section";

export function JobForm({ form, catalogue }: { form: Form; catalogue: Catalogue }) {
  const spec = form.schemas["JobSpec"]?.properties ?? {};
  const type = typeOf(form.job);
  const task = catalogue.tasks.find(({ name }) => name === type);
  const metrics = catalogue.metrics.filter(({ task_types }) => task_types.includes(type)).map(({ name }) => name);
  return (
    <div className="job-form">
      <Part title="Job">
        <KindField form={form} kind="search" />
        {spec["name"] && <SchemaField form={form} path={["name"]} schema={spec["name"]} required />}
        {spec["seed"] && <SchemaField form={form} path={["seed"]} schema={spec["seed"]} />}
      </Part>
      <TaskSection form={form} tasks={catalogue.tasks} type={type} task={task} />
      <SpaceSection form={form} />
      <Part title="Objectives">
        <MetricRows form={form} section="objectives" metrics={metrics} />
      </Part>
      <Part title="Constraints">
        <MetricRows form={form} section="constraints" metrics={metrics} />
      </Part>
      <Part title="Optimizer">
        <ChoiceSection form={form} section="optimizer" choices={catalogue.optimizers} usual="auto" />
      </Part>
      <Part title="Scheduler">
        <ChoiceSection form={form} section="scheduler" choices={catalogue.schedulers} usual="none" />
      </Part>
      <Part title="Budget">
        <Fields form={form} section="budget" schema={spec["budget"]} />
      </Part>
      <details className="form-part">
        <summary>Resources</summary>
        <Fields form={form} section="resources" schema={spec["resources"]} />
      </details>
      <details className="form-part">
        <summary>Confirm what was found</summary>
        <Fields form={form} section="confirm" schema={spec["confirm"]} />
      </details>
    </div>
  );
}

/** Every field of a section, whatever they are. */
function Fields({ form, section, schema }: { form: Form; section: string; schema: Schema | undefined }) {
  const inner = schema && resolved(schema.anyOf?.find(({ $ref }) => $ref) ?? schema, form.schemas);
  return Object.entries(inner?.properties ?? {}).map(([name, field]) => (
    <SchemaField key={name} form={form} path={[section, name]} schema={field} />
  ));
}
