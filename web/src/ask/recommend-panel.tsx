/** What past jobs recommend for a task to come, with the trials that it rests on. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { getLaws, type Recommendation, recommend, type Values } from "../api/asking";
import { useMetrics, useTasks } from "../api/queries";
import type { Schemas } from "../new-job/schema";
import { Failure } from "../shell/failure";
import { trialPath } from "../shell/router";
import { configLine } from "../text/config";
import { metricValue, percent } from "../text/numbers";
import { QuestionForm } from "./question-form";

export function RecommendPanel() {
  const [values, setValues] = useState<Values>({});
  const [asked, setAsked] = useState<Values | null>(null);
  const catalogue = useQuery({
    queryKey: ["questions"],
    queryFn: ({ signal }) => getLaws(signal),
    staleTime: Infinity,
  });
  const tasks = useTasks();
  const answer = useQuery({
    queryKey: ["recommend", asked],
    queryFn: ({ signal }) => recommend(asked ?? {}, signal),
    enabled: asked !== null,
    retry: false,
  });
  if (catalogue.error) return <Failure error={catalogue.error} what="The question" />;
  const schemas = (catalogue.data?.schemas ?? {}) as Schemas;
  return (
    <form
      className="ask-question"
      onSubmit={(event) => {
        event.preventDefault();
        setAsked(values);
      }}
    >
      <div className="form-part">
        <QuestionForm
          schema={schemas["RecommendQuestion"] ?? {}}
          schemas={schemas}
          values={values}
          error={answer.error}
          offered={{ type: (tasks.data ?? []).map((task) => task.name) }}
          onChange={setValues}
        />
        <button type="submit" className="primary" disabled={!catalogue.data || answer.isFetching}>
          Recommend
        </button>
      </div>
      <div className="ask-answer" aria-live="polite">
        {asked === null && (
          <p className="muted">Say what you know of the task; what is left open is taken as unknown.</p>
        )}
        {answer.isFetching && <p className="muted">Comparing with past jobs…</p>}
        {answer.error && !answer.isFetching && <p className="reason">{answer.error.message}</p>}
        {answer.data && !answer.isFetching && <Suggestions found={answer.data} />}
      </div>
    </form>
  );
}

function Suggestions({ found }: { found: Recommendation }) {
  const metrics = useMetrics();
  return (
    <>
      <p className="muted">
        From {found.source}; {found.jobs} past jobs were looked at.
      </p>
      {found.warnings.map((warning) => (
        <p key={warning} className="stale">
          {warning}
        </p>
      ))}
      <ol className="suggestions">
        {found.items.map((item) => (
          <li key={JSON.stringify(item.config)} className="panel">
            <p className="mono">{configLine(item.config)}</p>
            {item.standing !== null && (
              <p>
                Expected to beat {percent(item.standing)} of other configurations
                {item.low !== null && item.high !== null && (
                  <span className="muted">
                    {" "}
                    ({percent(item.low)} to {percent(item.high)})
                  </span>
                )}
              </p>
            )}
            <p className="muted">
              {Object.entries(item.expected)
                .map(([name, { value, low, high }]) => {
                  const text = (one: number) => metricValue(one, metrics.get(name)?.unit);
                  return low === high
                    ? `${name} ${text(value)}`
                    : `${name} ${text(value)} (${text(low)} to ${text(high)})`;
                })
                .join(" · ")}
            </p>
            {item.trials.length > 0 && <Evidence trials={item.trials} />}
          </li>
        ))}
      </ol>
    </>
  );
}

/** Links shown at most; the most alike come first. */
const MOST_LINKS = 8;

function Evidence({ trials }: { trials: readonly string[] }) {
  return (
    <p className="muted">
      Rests on{" "}
      {trials.slice(0, MOST_LINKS).map((id, at) => (
        <span key={id}>
          {at > 0 && ", "}
          <a href={trialPath(id)}>{id}</a>
        </span>
      ))}
      {trials.length > MOST_LINKS && ` and ${trials.length - MOST_LINKS} more`}
    </p>
  );
}
