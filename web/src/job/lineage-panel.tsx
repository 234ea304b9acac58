/** Population-based training: the tree of copies, and the schedule that led to a trial's weights. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { getCopies, getCurves } from "../api/client";
import { useStretches } from "../api/queries";
import { indexOfNumber, numberOf } from "../api/trial-set";
import type { Job, MetricInfo, Stretch, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption, LinesSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { countScale, fitScale } from "../charts/scale";
import { type Kind, ScaleChoice } from "../charts/scale-choice";
import { type Spot, type Stroke, stepped } from "../charts/strokes";
import { useTheme } from "../charts/theme";
import { Failure } from "../shell/failure";
import { configValue } from "../text/config";
import { short } from "../text/numbers";
import { ancestry, type Branch, branches, type Copy, reachedBy } from "./family-tree";

interface Props {
  job: Job;
  trials: readonly Trial[];
  selected: Trial | undefined;
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
}

/** Schedulers whose trials go on from each other's weights. */
const POPULATIONS = ["pbt", "pb2"];

export function hasLineage(job: Job): boolean {
  const scheduler = job.spec["scheduler"];
  const name = scheduler && typeof scheduler === "object" && !Array.isArray(scheduler) ? scheduler["name"] : scheduler;
  return typeof name === "string" && POPULATIONS.includes(name);
}

export function LineagePanel({ job, trials, selected, onSelect, onChoose }: Props) {
  const counts = [job.progress.completed, job.progress.stopped, job.state];
  const refetchInterval = job.finished_at === null ? 4000 : (false as const);
  const copies = useQuery({
    queryKey: ["copies", job.id, ...counts],
    queryFn: ({ signal }) => getCopies(job.id, signal),
    refetchInterval,
    placeholderData: (previous) => previous,
  });
  const metric = job.objectives[0]?.metric ?? "loss";
  const curves = useQuery({
    queryKey: ["curves", job.id, metric, ...counts],
    queryFn: ({ signal }) => getCurves(job.id, metric, signal),
    refetchInterval,
    placeholderData: (previous) => previous,
  });
  const tree = useMemo(() => {
    const reached = new Map((curves.data?.items ?? []).map((curve) => [curve.number, curve.epochs.at(-1) ?? 0]));
    return branches(copies.data ?? [], reached);
  }, [copies.data, curves.data]);
  if (copies.error) return <Failure error={copies.error} what="The lineage" />;
  if (!copies.data)
    return (
      <p className="muted" role="status">
        Loading…
      </p>
    );
  if (copies.data.length === 0) return <p className="empty muted">No trial has gone on from another's weights yet.</p>;
  const latest = copies.data.at(-1)?.number ?? -1;
  const shown = selected ?? bestOf(job, trials, tree) ?? trials[indexOfNumber(trials, latest)];
  return (
    <div className="insights">
      <Tree {...{ tree, trials, shown, onSelect, onChoose }} copies={copies.data} />
      {shown && <Schedule trial={shown} reached={reachedBy(tree, shown.number)} onSelect={onSelect} />}
    </div>
  );
}

/** The member of the population that has come furthest in the first objective. */
function bestOf(job: Job, trials: readonly Trial[], tree: readonly Branch[]): Trial | undefined {
  const objective = job.objectives[0];
  if (!objective) return undefined;
  const sign = objective.direction === "maximize" ? -1 : 1;
  const value = (trial: Trial) => trial.metrics[objective.metric];
  const members = [...new Set(tree.map((branch) => branch.number))].flatMap(
    (number) => trials[indexOfNumber(trials, number)] ?? [],
  );
  return members
    .filter((trial) => typeof value(trial) === "number")
    .sort((a, b) => sign * ((value(a) ?? 0) - (value(b) ?? 0)))[0];
}

interface TreeProps extends Pick<Props, "trials" | "onSelect" | "onChoose"> {
  tree: readonly Branch[];
  copies: readonly Copy[];
  shown: Trial | undefined;
}

const LANE = 22;
const FRAME_HEIGHT = 90;

function Tree({ tree, copies, shown, onSelect, onChoose }: TreeProps) {
  const theme = useTheme();
  const members = useMemo(() => [...new Set(tree.map((branch) => branch.number))], [tree]);
  const line = useMemo(() => (shown ? ancestry(tree, shown.number) : []), [tree, shown]);
  const { option, strokes } = useMemo((): { option: ChartOption; strokes: Stroke[] } => {
    const lane = (number: number) => members.length - 1 - members.indexOf(number);
    const last = Math.max(...tree.map((branch) => branch.to));
    const base = frame(
      theme,
      { name: "epoch", scale: countScale(last) },
      {
        name: "trial",
        scale: {
          ...fitScale([0, 1]),
          min: -0.6,
          max: members.length - 0.4,
          ticks: members.map((_, at) => at),
          label: (position) => String(members[members.length - 1 - position] ?? ""),
        },
      },
    );
    const segments = (some: readonly Branch[]) =>
      some.flatMap(({ number, from, to, donor }) => [
        {
          coords: [
            [from, lane(number)],
            [to, lane(number)],
          ],
        },
        ...(donor === null
          ? []
          : [
              {
                coords: [
                  [from, lane(donor)],
                  [from, lane(number)],
                ],
                lineStyle: { type: "dotted" as const },
              },
            ]),
      ]);
    const lines = (id: string, some: readonly Branch[], color: string, width: number): LinesSeriesOption => ({
      id,
      type: "lines",
      coordinateSystem: "cartesian2d",
      silent: true,
      z: width,
      data: segments(some),
      lineStyle: { color, width, opacity: 1 },
    });
    const option: ChartOption = {
      ...base,
      tooltip: { ...base.tooltip, formatter: tooltipOf(copies) },
      series: [
        lines("all", tree, theme.point, 1.25),
        lines("line", line, theme.front, 3),
        {
          id: "copies",
          type: "scatter",
          symbol: "triangle",
          symbolSize: 9,
          z: 7,
          data: copies.map(({ number, epoch }, at) => [epoch, lane(number), number, at]),
          itemStyle: { color: theme.reference },
        },
        {
          id: "ends",
          type: "scatter",
          symbolSize: 8,
          z: 6,
          data: members.map((number) => [
            Math.max(...tree.filter((branch) => branch.number === number).map((branch) => branch.to)),
            lane(number),
            number,
          ]),
          itemStyle: { color: theme.point, borderColor: theme.surface, borderWidth: 1 },
        },
      ],
    };
    const strokes = tree.map(({ number, from, to }): Stroke => [
      [from, lane(number), number],
      [to, lane(number), number],
    ]);
    return { option, strokes };
  }, [tree, members, copies, line, theme]);
  return (
    <section>
      <h3>Who went on from whom</h3>
      <Chart
        name="lineage"
        className="chart"
        height={FRAME_HEIGHT + LANE * members.length}
        option={option}
        label={`The tree of ${members.length} trials and ${copies.length} copies over the epochs${shown ? `; the weights of trial ${shown.number} saw the training of ${line.map((branch) => branch.number).join(", ")}` : ""}.`}
        strokes={strokes}
        onPick={(value) => value[2] !== undefined && onSelect(value[2])}
        onBox={(_, numbers) => onChoose(numbers)}
      />
      <ul className="legend">
        {shown && <li data-mark="front">behind the weights of trial {shown.number}, thick</li>}
        <li data-mark="point">other training</li>
        <li data-mark="copy">went on from another’s weights</li>
      </ul>
    </section>
  );
}

function tooltipOf(copies: readonly Copy[]) {
  return (point: unknown): HTMLElement | string => {
    const [, , number, at] = (point as { value?: number[] }).value ?? [];
    const copy = at === undefined ? undefined : copies[at];
    if (!copy) return number === undefined ? "" : tip(`Trial ${number}`, []);
    const changed = Object.entries(copy.changed).map(([name, value]): [string, string] => [
      name,
      configValue(value as never),
    ]);
    return tip(`Trial ${copy.number} from trial ${copy.donor}, epoch ${short(copy.epoch)}`, changed);
  };
}

/** What varied along the line of a trial: each number as steps over the epochs, words in a list. */
function Schedule({ trial, ...rest }: { trial: Trial } & Pick<StepsProps, "reached" | "onSelect">) {
  const { data } = useStretches(trial.id, trial.attempt);
  const [picked, setPicked] = useState<string | null>(null);
  const [kind, setKind] = useState<Kind>(null);
  const varying = useMemo(() => varyingIn(data ?? []), [data]);
  const name = picked !== null && varying.includes(picked) ? picked : varying[0];
  if (!data || data.length < 2)
    return <p className="muted">Trial {trial.number} has trained with its own weights alone.</p>;
  if (!name) return <p className="muted">Along the line of trial {trial.number} no parameter changed.</p>;
  return (
    <section>
      <h3>The schedule that trial {trial.number} found</h3>
      <div className="axes">
        <label className="inline">
          Schedule of
          <select value={name} onChange={(event) => setPicked(event.target.value)}>
            {varying.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <ScaleChoice label="Scale of the schedule" value={kind} onChange={setKind} />
      </div>
      <Steps {...{ name, kind, ...rest }} stretches={data} />
    </section>
  );
}

/** Parameters of numbers that differ between stretches. */
export function varyingIn(stretches: readonly Stretch[]): string[] {
  const names = new Set(stretches.flatMap(({ config }) => Object.keys(config)));
  return [...names].filter((name) => {
    const values = stretches.map(({ config }) => config[name]);
    return values.every((value) => typeof value === "number") && new Set(values).size > 1;
  });
}

interface StepsProps extends Pick<Props, "onSelect"> {
  stretches: readonly Stretch[];
  name: string;
  kind: Kind;
  /** The epoch that the last stretch has come to. */
  reached: number;
}

/** Each step is of the trial that trained it, which may be another one. */
function Steps({ stretches, name, kind, reached, onSelect }: StepsProps) {
  const theme = useTheme();
  const values = useMemo(() => stretches.map(({ config }) => config[name] as number), [stretches, name]);
  const { option, strokes } = useMemo((): { option: ChartOption; strokes: Stroke[] } => {
    const scale = fitScale(values, kind);
    const last = stretches.at(-1);
    const from = last?.from_epoch ?? 0;
    const end = last?.to_epoch ?? (reached > from ? reached : from + 1); // a step can be seen before it was reported on
    const base = frame(theme, { name: "epoch", scale: countScale(end) }, { name, scale });
    const spot = (epoch: number, at: number): Spot => [
      epoch,
      scale.toAxis(values[at] ?? 0),
      numberOf(stretches[at]?.trial_id ?? ""),
      at,
    ];
    const points = [...stretches.map(({ from_epoch }, at) => spot(from_epoch, at)), spot(end, stretches.length - 1)];
    const option: ChartOption = {
      ...base,
      tooltip: {
        ...base.tooltip,
        formatter: (point: unknown) => {
          const [, , number = 0, at = 0] = (point as { value: number[] }).value;
          const from = short(stretches[at]?.from_epoch ?? 0);
          return tip(`Trial ${number}, from epoch ${from}`, [[name, short(values[at] ?? 0)]]);
        },
      },
      series: [
        {
          id: "steps",
          type: "line",
          step: "end",
          silent: true,
          data: points.map((point) => [...point]),
          symbolSize: 7,
          itemStyle: { color: theme.front },
          lineStyle: { color: theme.front, width: 2 },
        },
      ],
    };
    return { option, strokes: [stepped(points)] };
  }, [stretches, values, name, kind, reached, theme]);
  return (
    <Chart
      name="schedule"
      className="chart chart-slice"
      option={option}
      strokes={strokes}
      onPick={([, , number]) => number !== undefined && onSelect(number)}
      label={`${name} over the epochs: ${stretches.map(({ from_epoch }, at) => `${short(values[at] ?? 0)} from epoch ${short(from_epoch)}`).join(", ")}`}
    />
  );
}
