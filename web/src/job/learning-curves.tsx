/** Reports of one trial over its epochs: validation metrics, and the losses of both sides on one chart. */
import { useMemo, useState } from "react";
import { useReports } from "../api/queries";
import type { Report, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { countScale, fitScale } from "../charts/scale";
import { type Kind, ScaleChoice } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { short } from "../text/numbers";
import { courses, line } from "./curve-line";

/** Drawn together because they share a unit. */
const LOSSES = ["loss", "train_loss"];

export function LearningCurves({ trial }: { trial: Trial }) {
  const { data: reports, isPending, error } = useReports(trial.id);
  const [kind, setKind] = useState<Kind>(null);
  if (isPending) return <p className="muted">Loading…</p>;
  if (error)
    return (
      <p className="reason" role="alert">
        {error.message}
      </p>
    );
  if (reports.length === 0) return <p className="muted">No reports yet.</p>;
  const names = [...new Set(reports.flatMap((report) => Object.keys(report.metrics)))];
  const groups = [
    ...names.filter((name) => !LOSSES.includes(name)).map((name) => [name]),
    names.filter((name) => LOSSES.includes(name)),
  ];
  return (
    <div className="curves">
      <p className="inline">
        up <ScaleChoice label="Scale of the learning curves" value={kind} onChange={setKind} />
      </p>
      {groups
        .filter((group) => group.length > 0)
        .map((group) => (
          <Curve key={group.join()} names={group} reports={reports} kind={kind} />
        ))}
    </div>
  );
}

function Curve({ names, reports, kind }: { names: string[]; reports: Report[]; kind: Kind }) {
  const key = names.join(" "); // the same for equal lists
  const theme = useTheme();
  const option = useMemo<ChartOption>(() => {
    const names = key.split(" ");
    const values = reports.flatMap((report) => names.map((name) => report.metrics[name] ?? Number.NaN));
    const epochs = reports.map((report) => report.epoch);
    const scale = fitScale(values, kind);
    const base = frame(theme, { name: "", scale: countScale(Math.max(...epochs)) }, { name: names.join(" · "), scale });
    return {
      ...base,
      grid: { left: 44, right: 12, top: 28, bottom: 22 },
      tooltip: {
        ...base.tooltip,
        formatter: (point: unknown) => {
          const { seriesName = "", value } = point as { seriesName?: string; value: number[] };
          return tip(`Epoch ${short(value[0] ?? 0)}`, [[seriesName, short(scale.fromAxis(value[1] ?? 0))]]);
        },
      },
      series: names.flatMap((name, index) =>
        courses(reports).map((course, at, all) => line(name, index, course, at === all.length - 1, scale, theme)),
      ),
    };
  }, [key, reports, kind, theme]);
  const last = reports.at(-1);
  const said = names.map((name) => `${name} ${short(last?.metrics[name] ?? Number.NaN)}`).join(", ");
  return (
    <Chart
      name="learning curve"
      className="chart chart-curve"
      option={option}
      label={`${names.join(" and ")} over ${reports.length} reports, last ${said}`}
    />
  );
}
