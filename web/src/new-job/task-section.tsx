/** The `task` section: the type first, then the fields of that type, as `GET /v1/tasks` has them. */
import type { TaskView } from "../api/openapi";
import { changesWithType } from "./another-type";
import { DataUpload } from "./data-upload";
import { at } from "./job-document";
import { Part } from "./form-part";
import type { Schema } from "./schema";
import { type Form, SchemaField } from "./schema-field";

interface Props {
  form: Form;
  tasks: TaskView[];
  type: string;
  task: TaskView | undefined;
}

export function TaskSection({ form, tasks, type, task }: Props) {
  const fields = (task?.fields ?? []).filter(({ name }) => name !== "type");
  const needed = fields.filter(({ required }) => required);
  const others = fields.filter(({ required }) => !required);
  const choose = (name: string) => {
    const next = tasks.find((one) => one.name === name);
    form.write(["task", "type"], name, next && changesWithType(form.job, task, next));
  };
  return (
    <Part title="Task">
      <div className="form-field">
        <label htmlFor="task-type">type</label>
        <select id="task-type" value={type} onChange={({ target }) => choose(target.value)}>
          {!task && <option>{type}</option>}
          {tasks.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <p className="hint muted">{task?.summary}</p>
      </div>
      {needed.map((field) => (
        <SchemaField key={field.name} form={form} path={["task", field.name]} schema={schemaOf(field)} required />
      ))}
      {[...needed, ...others]
        .filter(({ name }) => name === "train")
        .map(({ name }) => (
          <DataUpload key={name} onDone={(path) => form.write(["task", name], path)} />
        ))}
      <details open={others.some(({ name }) => at(form.job, ["task", name]) !== undefined)}>
        <summary>{others.length} more fields</summary>
        {others.map((field) => (
          <SchemaField key={field.name} form={form} path={["task", field.name]} schema={schemaOf(field)} />
        ))}
      </details>
    </Part>
  );
}

const schemaOf = ({ schema, description }: TaskView["fields"][number]): Schema => ({
  ...(schema as Schema),
  ...(description ? { description } : {}),
});
