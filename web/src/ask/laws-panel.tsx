/** Laws that answer without training: published ones, and those that were learnt here. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { getLaws, type Law, listLaws, predict, type Values } from "../api/asking";
import { asked, type Schema, type Schemas } from "../new-job/schema";
import { Failure } from "../shell/failure";
import { Prose } from "../shell/prose";
import { setQuery, useRoute } from "../shell/router";
import { LawPlot } from "./law-plot";
import { PredictionTable } from "./prediction-table";
import { exampleOf, isWhole, QuestionForm } from "./question-form";

export function LawsPanel() {
  const { query } = useRoute();
  const catalogue = useQuery({
    queryKey: ["questions"],
    queryFn: ({ signal }) => getLaws(signal),
    staleTime: Infinity,
  });
  if (catalogue.error) return <Failure error={catalogue.error} what="The laws" />;
  if (!catalogue.data)
    return (
      <p className="muted" role="status">
        Loading…
      </p>
    );
  const schemas = catalogue.data.schemas as Schemas;
  const laws = catalogue.data.laws.filter((law) => isScalar(schemas[law.schema], schemas));
  const law = laws.find((one) => one.path === query.get("law")) ?? laws[0];
  const schema = law && schemas[law.schema];
  if (!law || !schema) return <p className="empty">This service knows no law.</p>;
  return (
    <>
      <label className="inline">
        Law
        <select value={law.path} onChange={(event) => setQuery({ law: event.target.value })}>
          {laws.map(({ path }) => (
            <option key={path}>{path}</option>
          ))}
        </select>
      </label>
      <p className="muted">
        <Prose text={law.summary} />
      </p>
      <LawQuestion key={law.path} {...{ law, schema, schemas }} />
    </>
  );
}

/** Tables of runs are the business of law jobs and of the command line. */
const isScalar = (schema: Schema | undefined, schemas: Schemas): boolean =>
  Object.values(schema?.properties ?? {}).every((field) => asked(field, schemas).kind !== "yaml");

function LawQuestion({ law, schema, schemas }: { law: Law; schema: Schema; schemas: Schemas }) {
  const [values, setValues] = useState<Values>(() => exampleOf(schema));
  const stored = useQuery({ queryKey: ["laws"], queryFn: ({ signal }) => listLaws(signal) });
  const whole = isWhole(schema, values);
  const answer = useQuery({
    queryKey: ["predict", law.path, values],
    queryFn: ({ signal }) => predict(law.path, values, signal),
    enabled: whole,
    retry: false,
    placeholderData: (previous) => previous,
  });
  const names = (stored.data ?? []).map((one) => one.name);
  return (
    <div className="ask-question">
      <div className="form-part">
        <QuestionForm
          {...{ schema, schemas, values }}
          error={answer.error}
          offered={names.length ? { law: names } : {}}
          onChange={setValues}
        />
      </div>
      <div className="ask-answer" aria-live="polite">
        {!whole && <p className="muted">Fill in what is required.</p>}
        {whole && answer.error && <p className="reason">{answer.error.message}</p>}
        {whole && answer.data && !answer.error && (
          <>
            <PredictionTable found={answer.data} />
            <LawPlot {...{ law, schema, schemas, values }} found={answer.data} />
          </>
        )}
      </div>
    </div>
  );
}
