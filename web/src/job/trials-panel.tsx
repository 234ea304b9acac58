/** The trials table with its filters. Sorting and filtering happen here: all trials are in the cache anyway. */
import { useDeferredValue, useMemo, useState } from "react";
import type { Job, MetricInfo, Trial, TrialState } from "../api/types";
import { integer } from "../text/numbers";
import type { Clause } from "./clauses";
import { ColumnChoice } from "./column-choice";
import { columnsOf, type Order, sortTrials } from "./columns";
import { Downloads } from "./downloads";
import { FilterBar, filterNames } from "./filter-bar";
import { frontWords } from "./front-words";
import { TrialsTable } from "./trials-table";

interface Props {
  job: Job;
  trials: readonly Trial[];
  /** Those that meet the clauses. */
  kept: readonly Trial[];
  clauses: readonly Clause[];
  onClauses: (clauses: readonly Clause[]) => void;
  names: readonly string[];
  front: ReadonlySet<string>;
  metrics: ReadonlyMap<string, MetricInfo>;
  selected: Trial | undefined;
  loading: boolean;
  error: Error | null;
  onSelect: (number: number) => void;
}

const states: TrialState[] = ["completed", "running", "queued", "paused", "stopped", "failed"];

export function TrialsPanel(props: Props) {
  const { job, trials, kept, clauses, names, front, metrics, selected, loading, error, onSelect } = props;
  const [filter, setFilter] = useState("all");
  const [order, setOrder] = useState<Order>({ column: "number", descending: true });
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const settled = useDeferredValue(kept);
  const { objectives } = job;
  const remarked = useMemo(() => trials.some((trial) => trial.tags.length > 0 || trial.note), [trials]);
  const columns = useMemo(
    () => columnsOf(objectives, names, front, metrics, remarked),
    [objectives, names, front, metrics, remarked],
  );
  const rows = useMemo(
    () => sortTrials(settled.filter(keeper(filter, front)), columns, order),
    [settled, filter, front, columns, order],
  );
  const shown = useMemo(() => columns.filter((column) => !hidden.has(column.id)), [columns, hidden]);
  const askable = useMemo(() => filterNames(names, trials), [names, trials]);
  return (
    <div className="trials">
      <div className="table-tools">
        <FilterBar names={askable} clauses={clauses} onChange={props.onClauses} />
        <ColumnChoice columns={columns} hidden={hidden} onChange={setHidden} />
        <Downloads name={job.id} rows={rows} />
      </div>
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
        <TrialsTable {...{ rows, columns: shown, order, selected, onSelect, front }} onOrder={setOrder} />
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
    const count = (name: string) => counted.set(name, (counted.get(name) ?? 0) + 1);
    for (const { id, state } of trials) {
      count(state);
      if (front.has(id)) count("front");
    }
    return counted;
  }, [trials, front]);
  const choices: [string, number][] = [
    ["all", trials.length],
    ["front", counts.get("front") ?? 0],
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
