/** The job file as it was accepted. */
import type { Job } from "../api/types";
import { CodeBlock } from "../shell/code-block";
import { toYaml } from "../text/yaml";

export function SpecView({ job }: { job: Job }) {
  return (
    <CodeBlock title="As accepted, defaults filled in" what="spec" label="Spec of the job" text={toYaml(job.spec)} />
  );
}
