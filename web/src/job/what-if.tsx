/** What changing one parameter of a trial's configuration would do to the objectives. */
import { useQuery } from "@tanstack/react-query";
import { ApiError, getExpectation } from "../api/client";
import type { Expectation, Job, MetricInfo, Trial } from "../api/types";
import { configValue } from "../text/config";
import { EstimateText } from "./estimate";
import { TableFrame } from "../shell/table-frame";

interface Props {
  job: Job;
  trial: Trial;
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function WhatIf({ job, trial, metrics }: Props) {
  const { data, error } = useQuery({
    queryKey: ["expect", job.id, trial.id, job.progress.completed],
    queryFn: ({ signal }) => getExpectation(job.id, trial.config, signal),
    retry: false,
  });
  return (
    <section>
      <h3>What if trial {trial.number} had …</h3>
      {error && (
        <p className="empty" role="alert">
          {error instanceof ApiError ? error.message : "The answer cannot be had."}
        </p>
      )}
      {data && <Changes found={data} metrics={metrics} />}
    </section>
  );
}

function Changes({ found, metrics }: { found: Expectation; metrics: ReadonlyMap<string, MetricInfo> }) {
  const names = [...new Set(found.sensitivity.map((one) => one.metric))];
  const rows = new Map<string, Expectation["sensitivity"]>();
  for (const one of found.sensitivity) {
    const key = `${one.parameter} = ${configValue(one.value)}`;
    rows.set(key, [...(rows.get(key) ?? []), one]);
  }
  if (rows.size === 0) return <p className="empty">Nothing can be changed.</p>;
  return (
    <TableFrame>
      <table aria-label="Expected changes">
        <thead>
          <tr>
            <th scope="col">instead</th>
            {names.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...rows].map(([change, told]) => (
            <tr key={change}>
              <th scope="row" className="mono">
                {change}
              </th>
              {names.map((name) => (
                <td key={name}>
                  <EstimateText
                    estimate={told.find((one) => one.metric === name)?.change ?? null}
                    unit={metrics.get(name)?.unit}
                    signed
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}
