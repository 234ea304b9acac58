/** How the leading trial of each job learnt. */
import { useMemo, useState } from "react";
import { useReportsOfAll } from "../api/queries";
import { numberOf } from "../api/trial-set";
import type { Job, MetricInfo, Report } from "../api/types";
import { CoursePanel } from "../charts/course-panel";
import { type Kind, ScaleChoice } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { courses } from "../job/curve-line";
import { Choice } from "../shell/choice";
import type { Compared } from "./compare-jobs-page";
import { jobLines, opensTrial } from "./job-lines";

interface Props {
  compared: readonly Compared[];
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function JobsCurves({ compared, metrics }: Props) {
  const theme = useTheme();
  const leading = compared.filter(({ job }) => job.best_trial !== null);
  const found = useReportsOfAll(leading.map(({ job }) => job.best_trial ?? ""));
  const curves = leading.map(({ job, look }, at) => ({
    job,
    look,
    reports: courses(found[at]?.data ?? []).at(-1) ?? [],
  }));
  const names = [...new Set(curves.flatMap(({ reports }) => reports.flatMap(({ metrics }) => Object.keys(metrics))))];
  const [picked, setPicked] = useState("");
  const [kind, setKind] = useState<Kind>(null);
  const objective = compared[0]?.job.objectives[0]?.metric ?? "";
  const metric = [picked, objective, ...names].find((name) => names.includes(name)) ?? objective;
  const parts = curves.flatMap(({ job, look, reports }) => [job.id, look.color, reports.length]).join(" ");
  // biome-ignore lint/correctness/useExhaustiveDependencies: `parts` says what changes in the curves
  const chart = useMemo(() => {
    const lines = curves.map(({ reports, ...job }) => ({ ...job, points: pointsOf(job.job, reports, metric) }));
    return jobLines(lines, { over: "epoch", metric, kind, metrics }, theme);
  }, [parts, metric, kind, metrics, theme]);
  if (names.length === 0) return null;
  return (
    <CoursePanel
      id="leaders-title"
      title="Leading trials"
      choices={
        <>
          <Choice label="Learning curves of" value={metric} options={names} onChange={setPicked} />
          <ScaleChoice label="Scale of the curves" value={kind} onChange={setKind} />
        </>
      }
      name="compared curves"
      {...chart}
      onPick={opensTrial(curves)}
      label={`${metric} over the epochs of the leading trials of ${curves.length} jobs`}
    />
  );
}

const pointsOf = (job: Job, reports: readonly Report[], metric: string): [number, number, number][] =>
  reports.flatMap(({ epoch, metrics }): [number, number, number][] => {
    const value = metrics[metric];
    return typeof value === "number" && Number.isFinite(value) ? [[epoch, value, numberOf(job.best_trial ?? "")]] : [];
  });
