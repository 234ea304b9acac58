/** A law over one of its inputs, a decade to each side of what was asked; or the course that it answers with. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { type Law, type Prediction, predict, type Values } from "../api/asking";
import { Chart } from "../charts/chart";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { fitScale } from "../charts/scale";
import { ScaleChoices, useKinds } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { asked, type Schema, type Schemas } from "../new-job/schema";
import { Choice } from "../shell/choice";
import { short } from "../text/numbers";

interface Props {
  law: Law;
  schema: Schema;
  schemas: Schemas;
  values: Values;
  found: Prediction;
}

const POINTS = 11;

export function LawPlot({ law, schema, schemas, values, found }: Props) {
  const inputs = Object.keys(values).filter((name) => {
    const field = schema.properties?.[name];
    return field && asked(field, schemas).kind === "number" && Number(values[name]) > 0 && name !== "level";
  });
  const [input, setInput] = useState<string | null>(null);
  const [output, setOutput] = useState<string | null>(null);
  const across = input !== null && inputs.includes(input) ? input : inputs[0];
  const outputs = Object.keys(found.units);
  const up = output !== null && outputs.includes(output) ? output : outputs[0];
  if (found.curve) return <Course points={found.curve} across="tokens" up="loss" />;
  if (!across || !up) return null;
  return (
    <>
      <div className="axes">
        <Choice label="Plot" value={up} options={outputs} onChange={setOutput} />
        <Choice label="over" value={across} options={inputs} onChange={setInput} />
      </div>
      <Sweep {...{ law, values, across, up }} whole={asked(schema.properties?.[across] ?? {}, schemas).whole} />
    </>
  );
}

function Sweep({ law, values, across, up, whole }: Pick<Props, "law" | "values"> & Axes & { whole: boolean }) {
  const { data } = useQuery({
    queryKey: ["sweep", law.path, values, across],
    queryFn: ({ signal }) =>
      Promise.all(
        around(Number(values[across]), whole).map(async (value) => ({
          value,
          found: await predict(law.path, { ...values, [across]: value }, signal).catch(() => null),
        })),
      ),
    retry: false,
    staleTime: Infinity,
  });
  const points = useMemo(
    () =>
      (data ?? []).flatMap(({ value, found }) =>
        found && typeof found[up] === "number"
          ? [{ [across]: value, [up]: found[up], low: found.intervals[up]?.low, high: found.intervals[up]?.high }]
          : [],
      ),
    [data, across, up],
  );
  return points.length > 1 ? <Course {...{ points, across, up }} /> : null;
}

/** A decade to each side, in equal factors; where a law refuses, there is no point. */
function around(value: number, whole: boolean): number[] {
  const values = Array.from({ length: POINTS }, (_, at) => value * 10 ** (-1 + (2 * at) / (POINTS - 1)));
  return [...new Set(whole ? values.map((one) => Math.max(1, Math.round(one))) : values)];
}

interface Axes {
  across: string;
  up: string;
}

function Course({ points, across, up }: Axes & { points: readonly { [name: string]: number | undefined }[] }) {
  const theme = useTheme();
  const { kinds, onKinds } = useKinds();
  const option = useMemo<ChartOption>(() => {
    const column = (name: string) => points.map((point) => point[name] ?? Number.NaN);
    const x = fitScale(column(across), kinds.x);
    const y = fitScale([...column(up), ...column("low"), ...column("high")], kinds.y);
    const base = frame(theme, { name: across, scale: x }, { name: up, scale: y });
    const line = (name: string, width: number, type: "solid" | "dashed"): LineSeriesOption => ({
      id: name,
      type: "line",
      data: points.map((point) => [x.toAxis(point[across] ?? 0), y.toAxis(point[name] ?? Number.NaN)]),
      showSymbol: type === "solid",
      symbolSize: 5,
      silent: type === "dashed",
      itemStyle: { color: theme.front },
      lineStyle: { color: type === "solid" ? theme.front : theme.point, width, type },
    });
    const bounds = points.some((point) => point["low"] !== undefined);
    return {
      ...base,
      tooltip: {
        ...base.tooltip,
        formatter: (point: unknown) => {
          const at = points[(point as { dataIndex: number }).dataIndex];
          return tip(`${across} ${short(at?.[across] ?? 0)}`, [[up, short(at?.[up] ?? 0)]]);
        },
      },
      series: [line(up, 1.75, "solid"), ...(bounds ? [line("low", 1, "dashed"), line("high", 1, "dashed")] : [])],
    };
  }, [points, across, up, kinds, theme]);
  return (
    <>
      <ScaleChoices of="law" kinds={kinds} onChange={onKinds} />
      <Chart
        name="law"
        className="chart chart-law"
        option={option}
        label={`${up} over ${across}, ${points.length} points`}
      />
    </>
  );
}
