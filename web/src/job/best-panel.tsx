/** Door to `best`: the best configuration under limits, with the code that rebuilds it. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, getBest } from "../api/client";
import type { Job, MetricInfo } from "../api/types";
import { CodeBlock } from "../shell/code-block";
import { configLine } from "../text/config";
import { metricValue } from "../text/numbers";
import { type Limit, Limits, usable } from "./limits";

interface Props {
  job: Job;
  names: readonly string[];
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
}

export function BestPanel({ job, names, metrics, onSelect }: Props) {
  // Until somebody chooses, what comes first: more metrics appear when the trials arrive.
  const [picked, setPicked] = useState<string | null>(null);
  const [changed, setChanged] = useState<Limit[] | null>(null);
  const metric = picked ?? names[0] ?? "";
  const limits = changed ?? [{ metric: names[1] ?? metric, relation: "<=", value: "" }];
  return (
    <div className="best">
      <div className="best-question">
        <label className="inline">
          Best
          <select value={metric} onChange={(event) => setPicked(event.target.value)}>
            {names.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <Limits names={names} limits={limits} onChange={setChanged} />
      </div>
      <Answer job={job} metric={metric} where={usable(limits)} metrics={metrics} onSelect={onSelect} />
    </div>
  );
}

interface AnswerProps extends Pick<Props, "job" | "metrics" | "onSelect"> {
  metric: string;
  where: string[];
}

function Answer({ job, metric, where, metrics, onSelect }: AnswerProps) {
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
