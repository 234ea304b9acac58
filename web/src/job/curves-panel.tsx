/** The learning curves of all trials that the filter keeps, in one chart. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { getCurves } from "../api/client";
import { indexOfNumber } from "../api/trial-set";
import type { Job, MetricInfo, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { LineKey } from "../charts/line-key";
import { countScale, fitScale } from "../charts/scale";
import { type Kind, ScaleChoice } from "../charts/scale-choice";
import type { Spot, Stroke } from "../charts/strokes";
import { useTheme } from "../charts/theme";
import { Choice } from "../shell/choice";
import { Failure } from "../shell/failure";
import { configLine } from "../text/config";
import { metricValue, short } from "../text/numbers";
import { BY_RUNG, BY_STATE, curveLooks, type ShownCurve, styled } from "./curve-looks";
import { frontWords } from "./front-words";
import { axisTitle } from "./measures";

interface Props {
  job: Job;
  trials: readonly Trial[];
  kept: readonly Trial[];
  names: readonly string[];
  front: ReadonlySet<string>;
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
}

export function CurvesPanel({ job, trials, kept, names, front, metrics, onSelect, onChoose }: Props) {
  // Until somebody chooses, what comes first: trials and the catalogue of metrics may arrive after the panel.
  const [picked, setPicked] = useState<string | null>(null);
  const learnt = names.filter((name) => name === "train_loss" || metrics.get(name)?.kind === "quality");
  const choices = learnt.length ? learnt : [job.objectives[0]?.metric ?? "loss"];
  const metric = picked ?? choices[0] ?? "loss";
  const [kind, setKind] = useState<Kind>(null);
  const [wanted, setWanted] = useState(BY_STATE);
  const theme = useTheme();
  const { data, error } = useQuery({
    // Whatever begins, stops or ends adds to some curve; in between the page looks every few seconds.
    queryKey: ["curves", job.id, metric, job.progress.completed, job.progress.stopped],
    queryFn: ({ signal }) => getCurves(job.id, metric, signal),
    refetchInterval: job.finished_at === null ? 4000 : false,
    placeholderData: (previous) => previous,
  });
  const chosen = useMemo(() => new Set(kept.map((trial) => trial.number)), [kept]);
  const shown = useMemo(
    () =>
      (data?.items ?? []).flatMap((curve) => {
        const trial = trials[indexOfNumber(trials, curve.number)];
        return trial && chosen.has(curve.number) ? [{ ...curve, trial }] : [];
      }),
    [data, trials, chosen],
  );
  const parameters = useMemo(() => varying(shown), [shown]);
  const by = wanted === BY_RUNG || parameters.includes(wanted) ? wanted : BY_STATE;
  const looks = useMemo(() => curveLooks(by, shown, front, theme), [by, shown, front, theme]);
  const { option, strokes } = useMemo((): { option: ChartOption; strokes: Stroke[] } => {
    const values = shown.flatMap((curve) => curve.values);
    const scale = fitScale(values, kind);
    const last = Math.max(1, ...shown.map((curve) => curve.epochs.at(-1) ?? 0));
    const base = frame(theme, { name: "epoch", scale: countScale(last) }, { name: axisTitle(metric, metrics), scale });
    const strokes = shown.map((curve) =>
      curve.epochs.map((epoch, at): Spot => [epoch, scale.toAxis(curve.values[at] as number), curve.number, at]),
    );
    const series = shown.map((curve, at): LineSeriesOption => ({
      id: String(curve.number),
      type: "line",
      data: (strokes[at] as Stroke).map((spot) => [...spot]),
      silent: true,
      showSymbol: curve.epochs.length < 3,
      symbolSize: 4,
      ...styled(looks.of(curve)),
    }));
    const tooltip = { ...base.tooltip, formatter: tooltipOf(shown, metric, metrics.get(metric)?.unit) };
    return { option: { ...base, tooltip, series }, strokes };
  }, [shown, looks, kind, metric, metrics, theme]);
  if (error && !data) return <Failure error={error} what="The learning curves" />;
  const words = frontWords(job.objectives);
  return (
    <section className="all-curves">
      <div className="axes">
        <Choice label="Learning curves of" value={metric} options={choices} onChange={setPicked} />
        <ScaleChoice label="Scale of the curves" value={kind} onChange={setKind} />
        <Choice
          label="coloured by"
          value={by}
          options={[BY_STATE, [BY_RUNG, "rung reached"], ...parameters]}
          onChange={setWanted}
        />
      </div>
      {shown.length === 0 ? (
        <p className="empty muted">{data ? "No trial that is shown has reported yet." : "Loading…"}</p>
      ) : (
        <Chart
          name="curves"
          className="chart chart-curves"
          option={option}
          strokes={strokes}
          label={`${metric} over the epochs of ${shown.length} trials, coloured by ${by}. Each trial's own curves stand beside it.`}
          onPick={(value) => value[2] !== undefined && onSelect(value[2])}
          onBox={(_, numbers) => onChoose(numbers)}
        />
      )}
      {by === BY_STATE ? (
        <ul className="legend">
          <li data-mark="front">{words.place}</li>
          <li data-mark="point">{words.others}</li>
          <li data-mark="stopped">stopped, dashed</li>
          <li data-mark="running">running</li>
        </ul>
      ) : (
        <LineKey title={by === BY_RUNG ? "rung reached" : by} entries={looks.legend} />
      )}
    </section>
  );
}

/** Parameters in which the curves' trials differ. */
function varying(shown: readonly ShownCurve[]): string[] {
  const seen = new Map<string, Set<string>>();
  for (const { trial } of shown)
    for (const [name, value] of Object.entries(trial.config))
      seen.set(name, (seen.get(name) ?? new Set<string>()).add(String(value)));
  return [...seen].flatMap(([name, values]) => (values.size > 1 ? [name] : []));
}

function tooltipOf(shown: readonly ShownCurve[], metric: string, unit: string | undefined) {
  return (point: unknown): HTMLElement | string => {
    const [, , number, at = 0] = (point as { value?: number[] }).value ?? [];
    const found = shown.find((one) => one.trial.number === number);
    if (!found) return "";
    return tip(
      `Trial ${found.trial.number}, ${found.trial.state}`,
      [
        ["epoch", short(found.epochs[at] ?? 0)],
        [metric, metricValue(found.values[at], unit)],
      ],
      configLine(found.trial.config),
    );
  };
}
