/** The learning curves of all trials that the filter keeps, in one chart. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { getCurves } from "../api/client";
import { indexOfNumber } from "../api/trial-set";
import type { Job, MetricInfo, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { countScale, fitScale } from "../charts/scale";
import { type Theme, useTheme } from "../charts/theme";
import { Failure } from "../shell/failure";
import { configLine } from "../text/config";
import { metricValue, short } from "../text/numbers";
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
}

export function CurvesPanel({ job, trials, kept, names, front, metrics, onSelect }: Props) {
  // Until somebody chooses, what comes first: trials and the catalogue of metrics may arrive after the panel.
  const [picked, setPicked] = useState<string | null>(null);
  const learnt = names.filter((name) => name === "train_loss" || metrics.get(name)?.kind === "quality");
  const choices = learnt.length ? learnt : [job.objectives[0]?.metric ?? "loss"];
  const metric = picked ?? choices[0] ?? "loss";
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
  const option = useMemo<ChartOption>(() => {
    const scale = fitScale(shown.flatMap((curve) => curve.values));
    const last = Math.max(1, ...shown.map((curve) => curve.epochs.at(-1) ?? 0));
    const base = frame(theme, { name: "epoch", scale: countScale(last) }, { name: axisTitle(metric, metrics), scale });
    return {
      ...base,
      tooltip: { ...base.tooltip, formatter: tooltipOf(shown, metric, metrics.get(metric)?.unit) },
      series: shown.map(({ trial, epochs, values }): LineSeriesOption => ({
        id: String(trial.number),
        type: "line",
        data: epochs.map((epoch, at) => [epoch, scale.toAxis(values[at] as number), trial.number]),
        showSymbol: epochs.length < 3,
        symbolSize: 4,
        triggerLineEvent: true,
        ...lookOf(trial, front.has(trial.id), theme),
      })),
    };
  }, [shown, front, metric, metrics, theme]);
  if (error && !data) return <Failure error={error} what="The learning curves" />;
  const words = frontWords(job.objectives);
  return (
    <section className="all-curves">
      <label className="inline">
        Learning curves of
        <select value={metric} onChange={(event) => setPicked(event.target.value)}>
          {choices.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      {shown.length === 0 ? (
        <p className="empty muted">{data ? "No trial that is shown has reported yet." : "Loading…"}</p>
      ) : (
        <Chart
          className="chart chart-curves"
          option={option}
          label={`${metric} over the epochs of ${shown.length} trials. Each trial's own curves stand beside it.`}
          onPick={(value) => value[2] !== undefined && onSelect(value[2])}
        />
      )}
      <ul className="legend">
        <li data-mark="front">{words.place}</li>
        <li data-mark="point">{words.others}</li>
        <li data-mark="stopped">stopped, dashed</li>
        <li data-mark="running">running</li>
      </ul>
    </section>
  );
}

function lookOf(trial: Trial, onFront: boolean, theme: Theme): Pick<LineSeriesOption, "lineStyle" | "itemStyle" | "z"> {
  if (onFront) return { z: 4, itemStyle: { color: theme.front }, lineStyle: { color: theme.front, width: 1.75 } };
  if (trial.state === "running")
    return { z: 3, itemStyle: { color: theme.second }, lineStyle: { color: theme.second, width: 1.75 } };
  const type = trial.state === "completed" ? "solid" : "dashed";
  return { z: 1, itemStyle: { color: theme.point }, lineStyle: { color: theme.point, width: 1, opacity: 0.7, type } };
}

function tooltipOf(
  shown: readonly { trial: Trial; epochs: readonly number[]; values: readonly number[] }[],
  metric: string,
  unit: string | undefined,
) {
  return (point: unknown): HTMLElement | string => {
    const { seriesId, dataIndex } = point as { seriesId?: string; dataIndex?: number };
    const found = shown.find((one) => String(one.trial.number) === seriesId);
    if (!found) return "";
    const at = dataIndex ?? found.epochs.length - 1;
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
