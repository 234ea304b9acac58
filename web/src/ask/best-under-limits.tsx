/** A job, a metric and limits on sliders: the best trial follows them. */
import { useState } from "react";
import { useMetrics, usePareto } from "../api/queries";
import type { Direction, Job, MetricInfo, Pareto } from "../api/types";
import { fitScale, type Scale } from "../charts/scale";
import { BestAnswer } from "../job/best-answer";
import { isSearch } from "../job/kind";
import { Choice } from "../shell/choice";
import { jobPath, navigate } from "../shell/router";
import { metricValue } from "../text/numbers";
import { JobChoice } from "./job-choice";

export function BestUnderLimits() {
  return (
    <JobChoice fits={(job) => isSearch(job) && job.front_size > 0} none="No search has a finished trial yet.">
      {(job) => <LimitedBest key={job.id} job={job} />}
    </JobChoice>
  );
}

function LimitedBest({ job }: { job: Job }) {
  const metrics = useMetrics();
  const { data: front } = usePareto(job.id);
  const [picked, setPicked] = useState<string | null>(null);
  const [places, setPlaces] = useState<Record<string, number>>({});
  const metric = picked ?? job.objectives[0]?.metric ?? "";
  if (!front)
    return (
      <p className="muted" role="status">
        Loading…
      </p>
    );
  const ranges = rangesOf(front, job, metrics);
  const limits = ranges.filter(({ name }) => name !== metric);
  const where = limits.flatMap((range) => {
    const place = places[range.name];
    return place === undefined || place === loosest(range)
      ? []
      : [`${range.name}${sign(range)}${valueAt(range, place)}`];
  });
  return (
    <div className="ask-best">
      <div className="ask-limits">
        <Choice label="Best" value={metric} options={ranges.map(({ name }) => name)} onChange={setPicked} />
        {limits.map((range) => (
          <LimitSlider
            key={range.name}
            range={range}
            unit={metrics.get(range.name)?.unit}
            place={places[range.name] ?? loosest(range)}
            onChange={(place) => setPlaces({ ...places, [range.name]: place })}
          />
        ))}
      </div>
      <BestAnswer
        {...{ job, metric, where, metrics }}
        onSelect={(number) => navigate(`${jobPath(job.id)}?trial=${number}`)}
      />
    </div>
  );
}

interface Range {
  name: string;
  direction: Direction;
  scale: Scale;
  low: number;
  high: number;
}

/** Steps of a slider from end to end. */
const STEPS = 100;

const loosest = ({ direction }: Range): number => (direction === "minimize" ? STEPS : 0);
const sign = ({ direction }: Range): "<=" | ">=" => (direction === "minimize" ? "<=" : ">=");

/** Three digits: what a person would write. */
function valueAt({ scale, low, high }: Range, place: number): number {
  const [from, to] = [scale.toAxis(low), scale.toAxis(high)];
  return Number(scale.fromAxis(from + ((to - from) * place) / STEPS).toPrecision(3));
}

/** What the front spans in each metric; beyond it a limit changes nothing or leaves nothing. */
function rangesOf(front: Pareto, job: Job, metrics: ReadonlyMap<string, MetricInfo>): Range[] {
  const trials = [...front.items, ...front.reference];
  const objectives = new Map(job.objectives.map((one) => [one.metric, one.direction]));
  const names = new Set([...objectives.keys(), ...trials.flatMap((trial) => Object.keys(trial.metrics)).sort()]);
  return [...names].flatMap((name): Range[] => {
    const values = trials.flatMap((trial) => trial.metrics[name] ?? []);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const direction = objectives.get(name) ?? metrics.get(name)?.direction;
    return direction && high > low ? [{ name, direction, scale: fitScale(values), low, high }] : [];
  });
}

interface SliderProps {
  range: Range;
  unit: string | undefined;
  place: number;
  onChange: (place: number) => void;
}

function LimitSlider({ range, unit, place, onChange }: SliderProps) {
  const free = place === loosest(range);
  const said = free
    ? "any"
    : `${range.direction === "minimize" ? "≤" : "≥"} ${metricValue(valueAt(range, place), unit)}`;
  return (
    <label className="slider">
      <span className="mono">{range.name}</span>
      <input
        type="range"
        min={0}
        max={STEPS}
        value={place}
        aria-valuetext={said}
        onChange={(event) => onChange(Number(event.target.value))}
      />
      <output>{said}</output>
    </label>
  );
}
