/** One job: its state, its front, its trials. What is selected stands in the address. */
import { useDeferredValue, useMemo } from "react";
import { useLiveJob } from "../api/live";
import { useJob, useMetrics, usePareto, useTaskOf } from "../api/queries";
import { useTrials } from "../api/trials";
import { indexOfNumber } from "../api/trial-set";
import type { Trial } from "../api/types";
import { Failure } from "../shell/failure";
import { closeQuery, openQuery, parseHash, setQuery, useRoute } from "../shell/router";
import { Tabs } from "../shell/tabs";
import { AnswerPanel } from "./answer-panel";
import { type Clause, clauseText, meeting, parseClauses, withNumbers } from "./clauses";
import { BestPanel } from "./best-panel";
import { ChatPanel } from "./chat-panel";
import { ComparePanel } from "./compare-panel";
import { parseNumbers } from "./comparison";
import { CurvesPanel } from "./curves-panel";
import { FilterBar, filterNames } from "./filter-bar";
import { inOrder } from "./finished";
import { FrontPanel } from "./front-panel";
import { ConfirmationPanel } from "./confirmation-panel";
import { InsightsPanel } from "./insights-panel";
import { JobHeader } from "./job-header";
import { JobLog } from "./job-log";
import { isPlanned, isSearch } from "./kind";
import { hasLineage, LineagePanel } from "./lineage-panel";
import { useMetricNames } from "./measures";
import { MethodsPanel } from "./methods-panel";
import { ParallelPanel } from "./parallel-panel";
import { ProgressChart } from "./progress-chart";
import { SpecView } from "./spec-view";
import { Stages } from "./stages";
import { TrialDrawer } from "./trial-drawer";
import { TrialsPanel } from "./trials-panel";

const noTrials: Trial[] = [];
/** Tabs with charts in which trials are chosen, but without the table that tells which are. */
const CHOOSING = ["answer", "insights", "lineage"];

/** Back closes the first trial that was opened, however many were looked at since. */
const select = (number: number): void => (isOpen() ? setQuery : openQuery)({ trial: String(number) });
const isOpen = (): boolean => parseHash(window.location.hash).query.has("trial");

export function JobPage({ id }: { id: string }) {
  const { query } = useRoute();
  const status = useLiveJob(id);
  const job = useJob(id);
  const trialsQuery = useTrials(id);
  const { data: pareto } = usePareto(id);
  const metrics = useMetrics();
  const writes = useTaskOf(job.data)?.pipeline_tag === "text-generation";
  const trials = trialsQuery.data ?? noTrials;
  const names = useMetricNames(job.data, trials);
  const where = query.getAll("where").join("\n");
  const clauses = useMemo(() => parseClauses(where.split("\n")), [where]);
  const kept = useMemo(() => (clauses.length ? trials.filter(meeting(clauses)) : trials), [trials, clauses]);
  const settled = useDeferredValue(trials);
  const objectives = job.data?.objectives;
  const finished = useMemo(() => inOrder(settled, objectives ?? []), [settled, objectives]);
  const methods = useMemo(() => new Set(trials.map((trial) => trial.config["method"])).size, [trials]);
  const front = useMemo(() => new Set(pareto?.items.map((trial) => trial.id)), [pareto]);
  if (job.isPending)
    return (
      <p className="page muted" role="status">
        Loading the job…
      </p>
    );
  if (job.isError && !job.data) return <Failure error={job.error} what="The job" />;
  const number = query.get("trial");
  const selected = number === null ? undefined : trials[indexOfNumber(trials, Number(number))];
  const chosen = query.get("compare");
  const compared = parseNumbers(chosen).flatMap((one) => trials[indexOfNumber(trials, one)] ?? []);
  const tab = query.get("tab") ?? "trials";
  const shared = { job: job.data, trials, names, metrics, onSelect: select };
  const filtered = { kept, clauses, onClauses: (next: readonly Clause[]) => setQuery({ where: next.map(clauseText) }) };
  /** What a box holds that is drawn in a chart whose axes are no columns. */
  const choose = (numbers: ReadonlySet<number>) =>
    numbers.size > 0 && filtered.onClauses(withNumbers(clauses, numbers));
  const table = (
    <TrialsPanel
      {...shared}
      {...filtered}
      front={front}
      selected={selected}
      loading={trialsQuery.isFetching}
      error={trialsQuery.error}
    />
  );
  return (
    <div className="page job" data-drawer={selected ? "open" : undefined}>
      <JobHeader job={job.data} status={status} />
      <Stages job={job.data} />
      <div className="panels">
        <FrontPanel {...shared} {...filtered} {...{ finished, pareto, selected }} onChoose={choose} />
        <ProgressChart {...shared} finished={finished} onChoose={choose} />
      </div>
      <Tabs
        label="About this job"
        tabs={[
          { id: "trials", title: "Trials" },
          ...(isSearch(job.data) ? [] : [{ id: "answer", title: "Answer" }]),
          ...(isPlanned(job.data)
            ? []
            : [
                { id: "best", title: "Best" },
                { id: "insights", title: "Insights" },
                { id: "parallel", title: "Parallel" },
                { id: "curves", title: "Curves" },
                ...(methods > 1 ? [{ id: "methods", title: "Methods" }] : []),
                ...(hasLineage(job.data) ? [{ id: "lineage", title: "Lineage" }] : []),
              ]),
          ...(job.data.spec.confirm ? [{ id: "confirmed", title: "Confirmed" }] : []),
          ...(compared.length ? [{ id: "compare", title: `Compare ${compared.length}` }] : []),
          ...(writes ? [{ id: "chat", title: "Chat" }] : []),
          { id: "spec", title: "Spec" },
          { id: "log", title: "Log" },
        ]}
        current={tab}
        onChange={(next) => setQuery({ tab: next === "trials" ? null : next })}
      >
        {clauses.length > 0 && CHOOSING.includes(tab) && (
          <FilterBar names={filterNames(names, trials)} clauses={clauses} onChange={filtered.onClauses} />
        )}
        {tab === "trials" && table}
        {tab === "parallel" && (
          <>
            <ParallelPanel {...shared} {...filtered} front={front} />
            {table}
          </>
        )}
        {tab === "curves" && (
          <>
            <CurvesPanel {...shared} kept={kept} front={front} onChoose={choose} />
            {table}
          </>
        )}
        {tab === "methods" && (
          <>
            <MethodsPanel {...shared} kept={kept} front={front} onChoose={choose} />
            {table}
          </>
        )}
        {tab === "lineage" && <LineagePanel {...shared} selected={selected} onChoose={choose} />}
        {tab === "answer" && <AnswerPanel {...shared} onChoose={choose} />}
        {tab === "best" && <BestPanel {...shared} />}
        {tab === "insights" && <InsightsPanel {...shared} kept={kept} selected={selected} onChoose={choose} />}
        {tab === "confirmed" && <ConfirmationPanel job={job.data} metrics={metrics} onSelect={select} />}
        {tab === "compare" && <ComparePanel {...shared} trials={compared} chosen={chosen} />}
        {tab === "chat" && <ChatPanel job={job.data} trials={trials} front={front} />}
        {tab === "spec" && <SpecView job={job.data} />}
        {tab === "log" && <JobLog job={job.data} onSelect={select} />}
      </Tabs>
      {selected && (
        <TrialDrawer
          key={selected.id}
          job={job.data}
          trial={selected}
          onFront={front.has(selected.id)}
          chosen={chosen}
          metrics={metrics}
          onClose={() => closeQuery({ trial: null })}
        />
      )}
    </div>
  );
}
