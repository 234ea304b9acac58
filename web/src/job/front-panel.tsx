/** The front chart with its axes, its legend and what the search gained over the reference trials. */
import { useMemo } from "react";
import type { Job, MetricInfo, Pareto, Trial } from "../api/types";
import { indexOfNumber } from "../api/trial-set";
import type { Scale } from "../charts/scale";
import { setQuery, useRoute } from "../shell/router";
import { metricValue } from "../text/numbers";
import { FrontChart } from "./front-chart";
import { frontWords } from "./front-words";
import { type Axes, defaultAxes, gain, isUnfinished, NUMBER } from "./measures";

interface Props {
  job: Job;
  trials: readonly Trial[];
  /** Those that meet the clauses; the others fade. */
  kept: readonly Trial[];
  names: readonly string[];
  pareto: Pareto | undefined;
  metrics: ReadonlyMap<string, MetricInfo>;
  selected: Trial | undefined;
  onSelect: (number: number) => void;
}

export function FrontPanel({ job, trials, kept, names, pareto, metrics, selected, onSelect }: Props) {
  const { query } = useRoute();
  const front = pareto?.items ?? none;
  const reference = useMemo(() => current(pareto?.reference ?? none, trials), [pareto, trials]);
  const x = query.get("x");
  const y = query.get("y");
  const words = frontWords(job.objectives);
  const unfinished = useMemo(() => trials.some(isUnfinished), [trials]);
  const axes = useMemo((): Axes => {
    const usual = defaultAxes(job, names);
    return { x: x ?? usual.x, y: y ?? usual.y };
  }, [x, y, job, names]);
  const xs = kindOf(query.get("xs"));
  const ys = kindOf(query.get("ys"));
  const kinds = useMemo(() => ({ x: xs, y: ys }), [xs, ys]);
  return (
    <section className="panel" aria-labelledby="front-title">
      <div className="panel-head">
        <h2 id="front-title">{words.title}</h2>
        <div className="axes">
          <AxisChoice label="Up" axis="y" names={names} value={axes.y} />
          <ScaleChoice label="Scale up" axis="ys" value={kinds.y} />
          <AxisChoice label="Across" axis="x" names={names} value={axes.x} />
          <ScaleChoice label="Scale across" axis="xs" value={kinds.x} />
        </div>
      </div>
      <FrontChart
        objectives={job.objectives}
        {...{ trials, kept, front, reference, metrics, axes, kinds, selected, onSelect }}
      />
      <div className="panel-foot">
        <ul className="legend">
          <li data-mark="front">{words.place}</li>
          <li data-mark="point">{words.others}</li>
          {unfinished && <li data-mark="unfinished">not trained to the end</li>}
          <li data-mark="reference">reference</li>
        </ul>
        <p className="muted">Ctrl and the wheel zoom; dragging moves.</p>
        <Gains job={job} reference={reference} metrics={metrics} />
      </div>
    </section>
  );
}

const none: readonly Trial[] = [];

/** A reference trial may end without changing the front; then only the list of trials knows. */
const current = (some: readonly Trial[], trials: readonly Trial[]): Trial[] =>
  some.map((trial) => trials[indexOfNumber(trials, trial.number)] ?? trial);

const kindOf = (text: string | null): Scale["kind"] | null => (text === "linear" || text === "log" ? text : null);

function ScaleChoice({ label, axis, value }: { label: string; axis: "xs" | "ys"; value: string | null }) {
  return (
    <select
      aria-label={label}
      value={value ?? ""}
      onChange={(event) => setQuery({ [axis]: event.target.value || null })}
    >
      <option value="">auto</option>
      <option>linear</option>
      <option>log</option>
    </select>
  );
}

function AxisChoice({
  label,
  axis,
  names,
  value,
}: {
  label: string;
  axis: "x" | "y";
  names: readonly string[];
  value: string;
}) {
  return (
    <label className="inline">
      {label}
      <select value={value} onChange={(event) => setQuery({ [axis]: event.target.value })}>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
        <option value={NUMBER}>trial number</option>
      </select>
    </label>
  );
}

/** `accuracy +0.1240 over head-only`: the first objective's best against each reference trial. */
function Gains({
  job,
  reference,
  metrics,
}: {
  job: Job;
  reference: readonly Trial[];
  metrics: ReadonlyMap<string, MetricInfo>;
}) {
  const objective = job.objectives[0];
  const best = objective && job.best[objective.metric];
  if (!objective || best === undefined || best === null) return null;
  const { metric, direction } = objective;
  const measured = reference.filter((trial) => typeof trial.metrics[metric] === "number");
  if (measured.length === 0) return null;
  return (
    <p className="gains">
      best {metric}{" "}
      {measured.map((trial, index) => {
        const gained = gain(best, trial.metrics[metric] as number, direction);
        const text = metricValue(Math.abs(gained), metrics.get(metric)?.unit);
        return (
          <span key={trial.id}>
            {index > 0 && ", "}
            <strong>
              {gained < 0 ? "−" : "+"}
              {text}
            </strong>{" "}
            over {trial.label}
          </span>
        );
      })}
    </p>
  );
}
