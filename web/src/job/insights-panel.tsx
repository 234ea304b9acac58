/** What the trials say beyond themselves: which parameters matter, the knee of the front, and what a change would do. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, getImportance, getKnee } from "../api/client";
import type { Importance, Job, MetricInfo, Trial } from "../api/types";
import { metricValue, percent } from "../text/numbers";
import { ContourPanel } from "./contour-panel";
import { LayerMap } from "./layer-map";
import { SlicePanel } from "./slice-panel";
import { WhatIf } from "./what-if";

interface Props {
  job: Job;
  selected: Trial | undefined;
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
  /** Those that the filter keeps. */
  kept: readonly Trial[];
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
}

export function InsightsPanel({ job, selected, metrics, onSelect, kept, onChoose }: Props) {
  const done = job.progress.completed;
  const knee = useQuery({
    queryKey: ["knee", job.id, done],
    queryFn: ({ signal }) => getKnee(job.id, signal),
    placeholderData: (previous) => previous,
    retry: false,
  });
  const asked = selected ?? knee.data?.trial;
  return (
    <div className="insights">
      <ImportanceChart job={job} done={done} />
      {knee.data && (
        <section>
          <h3>Knee of the front</h3>
          <p>
            <button type="button" className="link" onClick={() => onSelect(knee.data.trial.number)}>
              Trial {knee.data.trial.number}
            </button>
            {" · "}
            {Object.entries(knee.data.objectives)
              .map(([name, value]) => `${name} ${metricValue(value, metrics.get(name)?.unit)}`)
              .join(" · ")}
          </p>
          <p className="muted">Giving up a little of one objective buys the most of the others here.</p>
        </section>
      )}
      {asked && <SlicePanel trial={asked} {...{ job, metrics, kept, onSelect, onChoose }} />}
      {asked && <ContourPanel trial={asked} {...{ job, metrics, kept, onSelect, onChoose }} />}
      {asked && <LayerMap trial={asked} onSelect={onSelect} />}
      {asked && <WhatIf job={job} trial={asked} metrics={metrics} />}
    </div>
  );
}

function ImportanceChart({ job, done }: { job: Job; done: number }) {
  const [metric, setMetric] = useState(job.objectives[0]?.metric ?? "");
  const { data, error } = useQuery({
    queryKey: ["importance", job.id, metric, done],
    queryFn: ({ signal }) => getImportance(job.id, metric, signal),
    placeholderData: (previous) => previous,
    retry: false,
  });
  return (
    <section>
      <h3>
        What matters for{" "}
        <select aria-label="Metric" value={metric} onChange={(event) => setMetric(event.target.value)}>
          {job.objectives.map((one) => (
            <option key={one.metric}>{one.metric}</option>
          ))}
        </select>
      </h3>
      {error && (
        <p className="empty" role="alert">
          {error instanceof ApiError ? error.message : "The answer cannot be had."}
        </p>
      )}
      {!data && !error && (
        <p className="muted" role="status">
          Fitting a model to the trials…
        </p>
      )}
      {data && !error && <Bars found={data} />}
    </section>
  );
}

/** A share of the width that all of the variation would have; of few trials more of it may be estimated than there is. */
const across = (share: number): string => `${100 * within(share)}%`;
const within = (share: number): number => Math.min(Math.max(share, 0), 1);

function Bars({ found }: { found: Importance }) {
  return (
    <>
      <p className="muted">
        From {found.trials} completed trials; the lines span what is left uncertain, with{" "}
        {percent(found.items[0]?.level ?? 0.9)} probability.
      </p>
      <table className="importance" aria-label={`Importance for ${found.metric}, from ${found.trials} trials`}>
        <tbody>
          {found.items.map(({ parameter, value, low, high }) => (
            <tr key={parameter}>
              <th scope="row" className="mono">
                {parameter}
              </th>
              <td>
                <span className="bar" style={{ width: across(value) }} />
                <span
                  className="whisker"
                  style={{ marginInlineStart: across(low), width: across(within(high) - within(low)) }}
                />
              </td>
              <td className="number">{percent(value)}</td>
              <td className="number muted interval">
                {percent(low)} to {percent(high)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
