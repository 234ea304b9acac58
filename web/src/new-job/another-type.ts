/** What goes with the type of a job's task when another type is chosen. */
import type { TaskView } from "../api/openapi";
import type { Json } from "../api/types";
import { at, type Change, type Path, readJob } from "./job-document";
import quickstart from "../../../examples/quickstart.yaml?raw";

type Job = { [key: string]: Json };

/** Sections beside the task that an example of a type has words of its own for. */
const SECTIONS = ["space", "objectives"];

/**
 * What changes with the type. Nobody chose what stands there as the page begins, or as the type before has it in its
 * example: the example of the new type takes its place. What the new type does not have would only be refused. What
 * else was written stays.
 */
export function changesWithType(job: Job, before: TaskView | undefined, after: TaskView): Change[] {
  const begun = [readJob(quickstart), before?.example as Job | undefined];
  const untouched = (path: Path): boolean =>
    at(job, path) === undefined || begun.some((one) => one && same(at(one, path), at(job, path)));
  const example = after.example as Job;
  const written = Object.keys((job["task"] as Job | undefined) ?? {}).filter((name) => name !== "type");
  const allUntouched = written.every((name) => untouched(["task", name]));
  const fields = after.fields.flatMap(({ name, required }): Change[] => {
    const path = ["task", name];
    const wanted = at(job, path) !== undefined || required || allUntouched;
    return name !== "type" && wanted && untouched(path) ? [[path, at(example, path)]] : [];
  });
  const known = new Set(after.fields.map(({ name }) => name));
  const foreign = written.filter((name) => !known.has(name)).map((name): Change => [["task", name], undefined]);
  const sections = SECTIONS.filter((name) => job[name] !== undefined && untouched([name]) && example[name]);
  return [...foreign, ...fields, ...sections.map((name): Change => [[name], example[name]])];
}

const same = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);
