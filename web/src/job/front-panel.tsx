/** The front chart with its axes, its legend and what the search gained over the reference trials. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { getUncertainty } from "../api/client";
import type { Job, MetricInfo, Pareto, Trial } from "../api/types";
import { indexOfNumber } from "../api/trial-set";
import { type Kind, kindOf, ScaleChoice } from "../charts/scale-choice";
import { setQuery, useRoute } from "../shell/router";
import { metricValue, percent } from "../text/numbers";
import { boundsOf } from "./bounds";
import type { Clause } from "./clauses";
import { FrontChart } from "./front-chart";
import { FrontSpace } from "./front-space";
import { frontWords } from "./front-words";
import { isPlanned } from "./kind";
import { defaultAxes, defaultDepth, isUnfinished, NUMBER, type Space } from "./measures";
import { MomentSlider, useMoment } from "./moment";
import { bestOfEachName } from "./reference-best";
import type { Spread } from "./spreads";

interface Props {
  job: Job;
  trials: readonly Trial[];
  /** Those that meet the clauses; the others fade. */
  kept: readonly Trial[];
  /** Those trained to the end, in that order. */
  finished: readonly Trial[];
  names: readonly string[];
  pareto: Pareto | undefined;
  metrics: ReadonlyMap<string, MetricInfo>;
  selected: Trial | undefined;
  clauses: readonly Clause[];
  onClauses: (clauses: readonly Clause[]) => void;
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
  onSelect: (number: number) => void;
}

export function FrontPanel({ job, trials, kept, finished, names, pareto, ...props }: Props) {
  const { metrics, selected, onSelect, onChoose, ...filter } = props;
  const moment = useMoment(job, trials, kept, finished, pareto?.items ?? none);
  const reference = useMemo(() => current(pareto?.reference ?? none, moment.trials), [pareto, moment.trials]);
  const words = frontWords(job.objectives);
  const unfinished = useMemo(() => moment.trials.some(isUnfinished), [moment.trials]);
  const { axes, kinds } = useAxes(job, names);
  const bounds = useMemo(() => boundsOf(job.spec), [job.spec]);
  const [bars, setBars] = useState(false);
  const spreads = useSpreads(job, bars);
  const shown = { ...moment, objectives: job.objectives, reference, metrics, selected, onSelect };
  return (
    <section className="panel" aria-labelledby="front-title">
      <div className="panel-head">
        <h2 id="front-title">{words.title}</h2>
        <AxisChoices {...{ names, axes, kinds }} />
      </div>
      {axes.z ? (
        <FrontSpace {...shown} {...{ axes, kinds, onChoose }} />
      ) : (
        <FrontChart
          {...shown}
          {...filter}
          {...{ axes, kinds, bounds }}
          spreads={moment.after === null ? spreads.items : []}
        />
      )}
      <MomentSlider moment={moment} />
      <div className="panel-foot">
        <ul className="legend">
          <li data-mark="front">{words.place}</li>
          <li data-mark="point">{words.others}</li>
          {unfinished && <li data-mark="unfinished">not trained to the end</li>}
          <li data-mark="reference">reference</li>
          {bounds.length > 0 && !axes.z && <li data-mark="limit">constraint</li>}
        </ul>
        {!axes.z && !isPlanned(job) && (
          <label className="inline">
            <input type="checkbox" checked={bars} onChange={(event) => setBars(event.target.checked)} /> uncertainty
          </label>
        )}
        <p className="muted">
          {axes.z
            ? "Dragging turns, with Shift it filters; Ctrl and the wheel zoom."
            : "Ctrl and the wheel zoom; dragging moves, with Shift it filters."}
        </p>
        <Gains job={job} reference={reference} metrics={metrics} />
      </div>
      {spreads.note && (
        <p className="muted" role="status">
          {spreads.note}
        </p>
      )}
    </section>
  );
}

const noSpreads: Spread[] = [];

/** Fitting a model takes seconds, so only who asks for bars waits for them. */
function useSpreads(job: Job, wanted: boolean): { items: readonly Spread[]; note: string } {
  const { data, error } = useQuery({
    queryKey: ["uncertainty", job.id, job.progress.completed],
    queryFn: ({ signal }) => getUncertainty(job.id, signal),
    enabled: wanted,
    placeholderData: (previous) => previous,
    retry: false,
  });
  if (!wanted) return { items: noSpreads, note: "" };
  if (error) return { items: noSpreads, note: error.message };
  if (!data) return { items: noSpreads, note: "Fitting a model to the trials…" };
  const level = percent(data.items[0]?.level ?? 0.9);
  const note = `Bars: trained again and measured on other rows, a trial of the front lies there with ${level} probability, by ${data.trials} trials.`;
  return { items: data.items, note };
}

interface Chosen {
  /** Without depth: ``. */
  axes: Space;
  kinds: Record<keyof Space, Kind>;
}

/** What the address says of the axes, else what is usual. */
function useAxes(job: Job, names: readonly string[]): Chosen {
  const { query } = useRoute();
  const [x, y, z] = ["x", "y", "z"].map((axis) => query.get(axis));
  const axes = useMemo((): Space => {
    const usual = defaultAxes(job, names);
    return { x: x ?? usual.x, y: y ?? usual.y, z: z ?? defaultDepth(job) };
  }, [x, y, z, job, names]);
  const [xs = null, ys = null, zs = null] = ["xs", "ys", "zs"].map((axis) => kindOf(query.get(axis)));
  const kinds = useMemo(() => ({ x: xs, y: ys, z: zs }), [xs, ys, zs]);
  return { axes, kinds };
}

const CHOICES = [
  { axis: "y", label: "Up", scale: "Scale up" },
  { axis: "x", label: "Across", scale: "Scale across" },
  { axis: "z", label: "Depth", scale: "Scale of the depth" },
] as const;

function AxisChoices({ names, axes, kinds }: Chosen & { names: readonly string[] }) {
  return (
    <div className="axes">
      {CHOICES.map(({ axis, label, scale }) => (
        <span key={axis} className="axis">
          <AxisChoice {...{ label, axis, names }} value={axes[axis]} />
          {axes[axis] && (
            <ScaleChoice label={scale} value={kinds[axis]} onChange={(kind) => setQuery({ [`${axis}s`]: kind })} />
          )}
        </span>
      ))}
    </div>
  );
}

const none: readonly Trial[] = [];

/** A reference trial may end without changing the front; then only the list of trials knows. */
const current = (some: readonly Trial[], trials: readonly Trial[]): Trial[] =>
  some.map((trial) => trials[indexOfNumber(trials, trial.number)] ?? trial);

function AxisChoice({
  label,
  axis,
  names,
  value,
}: {
  label: string;
  axis: keyof Space;
  names: readonly string[];
  value: string;
}) {
  return (
    <label className="inline">
      {label}
      <select value={value} onChange={(event) => setQuery({ [axis]: event.target.value })}>
        {axis === "z" && <option value="">none</option>}
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

/** `accuracy 0.1240 above head-only`: where the first objective's best lies, seen from the best reference trial of each name. */
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
  const { metric } = objective;
  const measured = bestOfEachName(reference, objective);
  if (measured.length === 0) return null;
  return (
    <p className="gains">
      best {metric}{" "}
      {measured.map((trial, index) => {
        const above = best - (trial.metrics[metric] as number);
        const distance = metricValue(Math.abs(above), metrics.get(metric)?.unit);
        return (
          <span key={trial.id}>
            {index > 0 && ", "}
            {above !== 0 && <strong>{distance}</strong>} {above === 0 ? "equal to" : above > 0 ? "above" : "below"}{" "}
            {trial.label}
          </span>
        );
      })}
    </p>
  );
}
