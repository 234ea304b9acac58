/** The job file as it was accepted. */
import type { Job } from "../api/types";
import { CopyButton } from "../shell/copy-button";
import { toYaml } from "../text/yaml";

export function SpecView({ job }: { job: Job }) {
  const text = toYaml(job.spec);
  return (
    <div className="code-block">
      <div className="code-head">
        <span>As accepted, defaults filled in</span>
        <CopyButton text={text} what="spec" />
      </div>
      <pre tabIndex={0} aria-label="Spec of the job">
        <code>{text}</code>
      </pre>
    </div>
  );
}
