/** The trials table with its filters. Sorting and filtering happen here: all trials are in the cache anyway. */
import { useDeferredValue, useMemo, useState } from "react";
import type { Job, MetricInfo, Trial, TrialState } from "../api/types";
import { integer } from "../text/numbers";
import { columnsOf, type Order, sortTrials } from "./columns";
import { frontWords } from "./front-words";
import { TrialsTable } from "./trials-table";

interface Props {
  job: Job;
  trials: readonly Trial[];
  names: readonly string[];
  front: ReadonlySet<string>;
  metrics: ReadonlyMap<string, MetricInfo>;
  selected: Trial | undefined;
  loading: boolean;
  error: Error | null;
  onSelect: (number: number) => void;
}

const states: TrialState[] = ["completed", "running", "queued", "paused", "stopped", "failed"];

export function TrialsPanel({ job, trials, names, front, metrics, selected, loading, error, onSelect }: Props) {
  const [filter, setFilter] = useState("all");
  const [order, setOrder] = useState<Order>({ column: "number", descending: true });
  const settled = useDeferredValue(trials);
  const { objectives } = job;
  const columns = useMemo(() => columnsOf(objectives, names, front, metrics), [objectives, names, front, metrics]);
  const rows = useMemo(
    () => sortTrials(settled.filter(keeper(filter, front)), columns, order),
    [settled, filter, front, columns, order],
  );
  return (
    <div className="trials">
      <Filters job={job} trials={settled} front={front} filter={filter} onChange={setFilter} />
      <p className="sr-only" role="status">
        {loading ? `Loading trials, ${trials.length} so far` : `${rows.length} trials shown`}
      </p>
      {error && (
        <p className="reason" role="alert">
          Trials could not be loaded: {error.message}
        </p>
      )}
      {loading && <p className="muted loading">Loading… {integer(trials.length)} so far</p>}
      {rows.length === 0 && !loading ? (
        <p className="empty muted">
          {trials.length ? "No trial matches this filter." : "No trial has been suggested yet."}
        </p>
      ) : (
        <TrialsTable {...{ rows, columns, order, selected, onSelect, front }} onOrder={setOrder} />
      )}
    </div>
  );
}

function keeper(filter: string, front: ReadonlySet<string>): (trial: Trial) => boolean {
  if (filter === "all") return () => true;
  if (filter === "front") return (trial) => front.has(trial.id);
  return (trial) => trial.state === filter;
}

interface FiltersProps {
  job: Job;
  trials: readonly Trial[];
  front: ReadonlySet<string>;
  filter: string;
  onChange: (filter: string) => void;
}

function Filters({ job, trials, front, filter, onChange }: FiltersProps) {
  const counts = useMemo(() => {
    const counted = new Map<string, number>();
    for (const { state } of trials) counted.set(state, (counted.get(state) ?? 0) + 1);
    return counted;
  }, [trials]);
  const choices: [string, number][] = [
    ["all", trials.length],
    ["front", front.size],
    ...states
      .filter((state) => counts.has(state) || state === filter)
      .map((state): [string, number] => [state, counts.get(state) ?? 0]),
  ];
  return (
    <div className="filters" role="group" aria-label="Show trials">
      {choices.map(([name, count]) => (
        <button key={name} type="button" aria-pressed={filter === name} onClick={() => onChange(name)}>
          {name === "front" ? frontWords(job.objectives).place : name} <span className="count">{integer(count)}</span>
        </button>
      ))}
    </div>
  );
}
