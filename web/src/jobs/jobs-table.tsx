/** Jobs as a table: sorted by what is clicked, some of them selected. */
import { useState } from "react";
import type { Job } from "../api/types";
import type { CourseView } from "../api/openapi";
import { useCourses } from "../api/courses";
import { useMetrics } from "../api/queries";
import { numberOf } from "../api/trial-set";
import { Tags } from "../remarks/tags";
import { ProgressBar } from "../shell/progress-bar";
import { jobPath } from "../shell/router";
import { StateBadge } from "../shell/state-badge";
import { useNow } from "../shell/use-now";
import { integer, metricValue, percent } from "../text/numbers";
import { Sparkline } from "./sparkline";
import { age, moment, timeLeft } from "../text/time";
import { TableFrame } from "../shell/table-frame";

interface Props {
  jobs: readonly Job[];
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
}

interface Column {
  title: string;
  numeric?: true;
  sortBy?: (job: Job) => number | string;
}

const COLUMNS: Column[] = [
  { title: "Name", sortBy: (job) => job.name.toLowerCase() },
  { title: "State", sortBy: (job) => job.state },
  { title: "Progress", sortBy: (job) => -job.progress.share },
  { title: "Best" },
  { title: "Front", numeric: true, sortBy: (job) => -job.front_size },
  { title: "Created", numeric: true, sortBy: (job) => -Date.parse(job.created_at) },
];

export function JobsTable({ jobs, selected, onSelect }: Props) {
  const now = useNow(10_000);
  const [order, setOrder] = useState({ title: "Created", reversed: false });
  const shown = sorted(jobs, COLUMNS.find(({ title }) => title === order.title)?.sortBy, order.reversed);
  const courses = useCourses(jobs);
  const all = shown.every((job) => selected.has(job.id));
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    onSelect(next);
  };
  return (
    <TableFrame>
      <table className="jobs" aria-label="Jobs">
        <thead>
          <tr>
            <td className="pick">
              <label>
                <input
                  type="checkbox"
                  aria-label="Select all"
                  checked={all}
                  onChange={() => onSelect(new Set(all ? [] : shown.map((job) => job.id)))}
                />
                <span> Select all</span>
              </label>
            </td>
            {COLUMNS.map((column) => (
              <Head key={column.title} column={column} order={order} onOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((job) => (
            <JobRow
              key={job.id}
              job={job}
              course={courses.get(job.id)}
              now={now}
              selected={selected.has(job.id)}
              onToggle={() => toggle(job.id)}
            />
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

interface Order {
  title: string;
  reversed: boolean;
}

function Head(props: { column: Column; order: Order; onOrder: (order: Order) => void }) {
  const { title, numeric, sortBy } = props.column;
  const here = props.order.title === title;
  const reversed = here && !props.order.reversed;
  return (
    <th
      scope="col"
      className={numeric && "number"}
      aria-sort={here ? (props.order.reversed ? "descending" : "ascending") : undefined}
    >
      {sortBy ? (
        <button type="button" title={`Sort by ${title}`} onClick={() => props.onOrder({ title, reversed })}>
          {title}
        </button>
      ) : (
        title
      )}
    </th>
  );
}

function sorted(jobs: readonly Job[], by: Column["sortBy"], reversed: boolean): readonly Job[] {
  if (!by) return jobs;
  const inOrder = jobs
    .map((job) => ({ job, value: by(job) }))
    .sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
    .map(({ job }) => job);
  return reversed ? inOrder.reverse() : inOrder;
}

interface RowProps {
  job: Job;
  course: CourseView | undefined;
  now: number;
  selected: boolean;
  onToggle: () => void;
}

function JobRow({ job, course, now, selected, onToggle }: RowProps) {
  const { progress } = job;
  const done = progress.completed + progress.stopped + progress.failed;
  return (
    <tr aria-selected={selected}>
      <td className="pick">
        <input type="checkbox" aria-label={`Select ${job.name}`} checked={selected} onChange={onToggle} />
      </td>
      <th scope="row">
        <a href={jobPath(job.id)}>{job.name}</a>
        <span className="sub">{describe(job)}</span>
        <Tags tags={job.tags} />
        {job.note && <span className="sub note">{job.note}</span>}
      </th>
      <td>
        <StateBadge state={job.state} />
      </td>
      <td className="progress-cell">
        <ProgressBar progress={progress} label={`Progress of ${job.name}`} />
        <span className="sub">
          {integer(done)} of {integer(progress.trials_total)}
          {progress.confirmations &&
            `, ${progress.confirmations.done} of ${progress.confirmations.total} confirmations`}
          {job.state === "running" && progress.share > 0 && ` · ${percent(progress.share)} trained`}
          {job.state === "running" && progress.seconds_left !== null && ` · ${timeLeft(progress.seconds_left)}`}
          {job.reason && ` · ${job.reason}`}
        </span>
      </td>
      <td>
        <BestValues job={job} />
        <Sparkline course={course} />
      </td>
      <td className="number" data-label="Front">
        {job.objectives.length > 1 ? job.front_size : "–"}
      </td>
      <td className="number muted" data-label="Created" title={moment(job.created_at)}>
        {age(job.created_at, now)}
      </td>
    </tr>
  );
}

/** What one trial reached: the one that leads by the first objective. */
function BestValues({ job }: { job: Job }) {
  const metrics = useMetrics();
  return (
    <dl className="best-values" title={job.best_trial ? `trial ${numberOf(job.best_trial)}` : undefined}>
      {job.objectives.map(({ metric, direction }) => (
        <div key={metric}>
          <dt>
            {direction === "maximize" ? "↑" : "↓"} {metric}
          </dt>
          <dd>{metricValue(job.best[metric], metrics.get(metric)?.unit)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** `builtin:minilm · lora space`. */
function describe({ spec }: Job): string {
  const task = spec.task as { model?: string } | undefined;
  const space = spec.space as { preset?: string | null; method?: string | null } | undefined;
  return [task?.model, space?.preset ?? space?.method].filter(Boolean).join(" · ");
}
