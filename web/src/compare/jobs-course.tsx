/** What jobs had found for what they had spent: the best value so far over trials, the clock or training. */
import { useMemo, useState } from "react";
import type { MetricInfo } from "../api/types";
import { CoursePanel } from "../charts/course-panel";
import { bestSoFar } from "../charts/front";
import { type Kind, ScaleChoice } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { inOrder } from "../job/finished";
import { OVER, type Over, spentAt } from "../job/spent";
import { Choice } from "../shell/choice";
import { short } from "../text/numbers";
import type { Compared } from "./compare-jobs-page";
import { inCommon } from "./in-common";
import { type JobLine, jobLines, opensTrial } from "./job-lines";

interface Props {
  compared: readonly Compared[];
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function JobsCourse({ compared, metrics }: Props) {
  const theme = useTheme();
  const choices = useMemo(() => common(compared), [compared]);
  const [picked, setPicked] = useState("");
  const [over, setOver] = useState<Over>("finished trials");
  const [kind, setKind] = useState<Kind>(null);
  const metric = choices.includes(picked) ? picked : (choices[0] ?? "");
  const lines = useMemo(
    () =>
      compared.map(({ job, trials, look }): JobLine => {
        const objective = job.objectives.find((one) => one.metric === metric);
        const finished = objective ? inOrder(trials, [objective]) : [];
        const values = finished.map((trial) => trial.metrics[metric] as number);
        const spent = spentAt(over, finished, job);
        const best = bestSoFar(values, objective?.direction ?? "maximize");
        return { job, look, points: best.map((value, at) => [spent[at] ?? 0, value, finished[at]?.number ?? 0]) };
      }),
    [compared, metric, over],
  );
  const chart = useMemo(
    () => jobLines(lines, { over, metric, kind, metrics }, theme, { step: "end", sampling: "max" }),
    [lines, over, metric, kind, metrics, theme],
  );
  const said = lines.map(({ job, points }) => `${job.name} ${short(points.at(-1)?.[1] ?? Number.NaN)}`).join(", ");
  return (
    <CoursePanel
      id="courses-title"
      title="Progress"
      choices={
        <>
          {choices.length > 0 ? (
            <Choice
              label="Show"
              quiet
              value={metric}
              options={choices.map((name) => [name, `best ${name}`] as const)}
              onChange={setPicked}
            />
          ) : (
            <span className="muted">No two of these jobs have an objective in common.</span>
          )}
          <ScaleChoice label="Scale of the progress" value={kind} onChange={setKind} />
          <Choice label="over" value={over} options={OVER} onChange={setOver} />
        </>
      }
      name="compared progress"
      {...chart}
      onPick={opensTrial(lines)}
      label={`Best ${metric} over ${over} of ${compared.length} jobs, in the end: ${said}`}
    />
  );
}

/** The objectives that most of the jobs have. */
const common = (compared: readonly Compared[]): string[] =>
  inCommon(compared.map(({ job }) => job.objectives.map(({ metric }) => metric)));
