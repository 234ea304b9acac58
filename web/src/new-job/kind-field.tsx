/** What kind of job it is. Another kind takes away what it has not, or has in another form: it would only be refused. */
import { asked, type Schema, type Schemas } from "./schema";
import type { Form } from "./schema-field";

/** The schema of a kind of job: the one whose `kind` it is. */
export const schemaOfKind = (schemas: Schemas, kind: string): Schema | undefined =>
  Object.values(schemas).find((schema) => kindsOf(schema, schemas).includes(kind));

const kindsOf = ({ properties }: Schema, schemas: Schemas): string[] =>
  properties?.["kind"] && properties["name"] && properties["seed"] ? asked(properties["kind"], schemas).choices : [];

/** Whether what was written for a field of one kind does for that of another. Tasks are told apart by their type. */
const isShared = (before: Schema | undefined, after: Schema | undefined, name: string): boolean =>
  after !== undefined && (name === "task" || JSON.stringify(formOf(before)) === JSON.stringify(formOf(after)));

const formOf = (schema: Schema | undefined) => schema && [schema.$ref, schema.type, schema.items, schema.anyOf];

export function KindField({ form, kind }: { form: Form; kind: string }) {
  const kinds = [...new Set(Object.values(form.schemas).flatMap((schema) => kindsOf(schema, form.schemas)))].sort();
  const choose = (next: string) => {
    const [before, after] = [kind, next].map((one) => schemaOfKind(form.schemas, one)?.properties ?? {});
    const foreign = Object.keys(form.job).filter((name) => !isShared(before?.[name], after?.[name], name));
    form.write(
      ["kind"],
      next,
      foreign.map((name) => [[name], undefined]),
    );
  };
  return (
    <div className="form-field">
      <label htmlFor="job-kind">kind</label>
      <select id="job-kind" value={kind} onChange={({ target }) => choose(target.value)}>
        {!kinds.includes(kind) && <option>{kind}</option>}
        {kinds.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </div>
  );
}
