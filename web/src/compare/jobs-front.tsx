/** The fronts of several jobs in one chart, in what all of them measure. */
import { useMemo, useState } from "react";
import type { MetricInfo } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { type Point, stepLine } from "../charts/front";
import { fitScale } from "../charts/scale";
import { useTheme } from "../charts/theme";
import { axisTitle, defaultAxes, measure } from "../job/measures";
import { Choice } from "../shell/choice";
import { configLine } from "../text/config";
import { metricValue } from "../text/numbers";
import type { Compared } from "./compare-jobs-page";
import { inCommon } from "./in-common";
import { opensTrial } from "./job-lines";

interface Props {
  compared: readonly Compared[];
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function JobsFront({ compared, metrics }: Props) {
  const theme = useTheme();
  const names = useMemo(() => shared(compared), [compared]);
  const [picked, setPicked] = useState<{ x?: string; y?: string }>({});
  const first = compared[0]?.job;
  const usual = first ? defaultAxes(first, names) : { x: "", y: "" };
  const known = (...wanted: (string | undefined)[]) => wanted.find((name) => name && names.includes(name));
  const y = known(picked.y, usual.y, names[0]) ?? usual.y;
  const x =
    known(
      picked.x,
      usual.x,
      names.find((name) => name !== y),
    ) ?? usual.x;
  const option = useMemo<ChartOption>(() => {
    const values = (name: string) =>
      compared.flatMap(({ front }) => front.map((trial) => measure(trial, name) ?? Number.NaN));
    const scales = { x: fitScale(values(x)), y: fitScale(values(y)) };
    const base = frame(
      theme,
      { name: axisTitle(x, metrics), scale: scales.x },
      { name: axisTitle(y, metrics), scale: scales.y },
    );
    const box = { x: [scales.x.min, scales.x.max], y: [scales.y.min, scales.y.max] } as const;
    return {
      ...base,
      tooltip: { ...base.tooltip, formatter: tooltipOf(compared, x, y, metrics) },
      series: compared.flatMap(({ job, front, look }, at) => {
        const spots = front.flatMap((trial): [number, number, number, number][] => {
          const [across, up] = [measure(trial, x), measure(trial, y)];
          return across === undefined || up === undefined
            ? []
            : [[scales.x.toAxis(across), scales.y.toAxis(up), trial.number, at]];
        });
        const direction = (name: string) => job.objectives.find(({ metric }) => metric === name)?.direction;
        const [dx, dy] = [direction(x), direction(y)];
        const points = spots.map(([across, up]): Point => [across, up]);
        const line = dx && dy && x !== y ? stepLine(points, [dx, dy], box).map((point) => [...point]) : [];
        return [
          {
            id: `border ${job.id}`,
            type: "lines" as const,
            coordinateSystem: "cartesian2d" as const,
            polyline: true,
            silent: true,
            clip: true,
            data: line.length ? [{ coords: line }] : [],
            lineStyle: { color: look.color, width: 1.5, opacity: 0.85, type: look.dashes },
          },
          {
            id: job.id,
            type: "scatter" as const,
            data: spots,
            symbol: look.symbol,
            symbolSize: 10,
            z: 3,
            itemStyle: { color: look.color, borderColor: theme.surface, borderWidth: 1.5 },
          },
        ];
      }),
    };
  }, [compared, x, y, metrics, theme]);
  const said = compared.map(({ job, front }) => `${job.name} ${front.length}`).join(", ");
  return (
    <section className="panel" aria-labelledby="fronts-title">
      <div className="panel-head">
        <h2 id="fronts-title">Fronts</h2>
        {names.length > 0 && (
          <>
            <Choice label="Up" value={y} options={names} onChange={(name) => setPicked({ ...picked, y: name })} />
            <Choice label="Across" value={x} options={names} onChange={(name) => setPicked({ ...picked, x: name })} />
          </>
        )}
      </div>
      {names.length === 0 && <p className="muted">No two of these fronts are measured in the same.</p>}
      <Chart
        name="compared fronts"
        className="chart chart-front"
        option={option}
        label={`${y} against ${x} on the fronts of ${compared.length} jobs: ${said}. The table below holds the best.`}
        onPick={opensTrial(compared)}
      />
    </section>
  );
}

/** What the fronts of most jobs were measured in: the objectives first. */
const shared = (compared: readonly Compared[]): string[] =>
  inCommon(
    compared.map(({ job, front }) => {
      const known = new Set(front.flatMap((trial) => Object.keys(trial.metrics)));
      const objectives = job.objectives.map(({ metric }) => metric).filter((name) => known.delete(name));
      return [...objectives, ...[...known].sort()];
    }),
  );

function tooltipOf(
  compared: readonly Compared[],
  x: string,
  y: string,
  metrics: ReadonlyMap<string, MetricInfo>,
): (point: unknown) => HTMLElement | string {
  return (point) => {
    const [, , number, at] = (point as { value?: number[] }).value ?? [];
    const found = compared[at ?? -1];
    const trial = found?.front.find((one) => one.number === number);
    if (!found || !trial) return "";
    const row = (name: string) => [name, metricValue(trial.metrics[name], metrics.get(name)?.unit)] as const;
    return tip(`${found.job.name}, trial ${trial.number}`, [row(y), row(x)], configLine(trial.config));
  };
}
