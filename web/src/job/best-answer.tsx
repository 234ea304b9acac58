/** The best trial of a job by one metric under limits, with the code that rebuilds it. */
import { useQuery } from "@tanstack/react-query";
import { ApiError, getBest } from "../api/client";
import type { Job, MetricInfo } from "../api/types";
import { CodeBlock } from "../shell/code-block";
import { configLine } from "../text/config";
import { metricValue } from "../text/numbers";

interface Props {
  job: Job;
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
  metric: string;
  where: string[];
}

export function BestAnswer({ job, metric, where, metrics, onSelect }: Props) {
  const direction =
    job.objectives.find((one) => one.metric === metric)?.direction ?? metrics.get(metric)?.direction ?? "minimize";
  const best = useQuery({
    // A finished trial can change the answer, so their number is part of the question.
    queryKey: ["best", job.id, metric, where, job.progress.completed],
    queryFn: ({ signal }) => getBest(job.id, metric, direction, where, signal),
    placeholderData: (previous) => previous,
    retry: false,
  });
  if (best.isPending)
    return (
      <p className="muted" role="status">
        Looking…
      </p>
    );
  if (best.isError) {
    const none = best.error instanceof ApiError && best.error.status === 404;
    return (
      <p className={none ? "empty" : "reason"} role="alert">
        {best.error.message}
      </p>
    );
  }
  const { trial, objectives, snippet, headroom } = best.data;
  return (
    <div className="answer" aria-live="polite">
      <p>
        <button type="button" className="link" onClick={() => onSelect(trial.number)}>
          Trial {trial.number}
        </button>
        {" · "}
        {Object.entries(objectives)
          .map(([name, value]) => `${name} ${metricValue(value, metrics.get(name)?.unit)}`)
          .join(" · ")}
      </p>
      <p className="mono muted">{configLine(trial.config)}</p>
      {headroom && <p className="muted">{headroom.text}</p>}
      <CodeBlock title="Ready to paste" what="snippet" label="Python code of this configuration" text={snippet} />
    </div>
  );
}
