/** What a job that follows a plan has learnt: a recommended mixture with its check, a law, or what each step came to. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, getAnswer } from "../api/client";
import type { Job, MixtureAnswer, Trial } from "../api/types";
import { Failure } from "../shell/failure";
import { short } from "../text/numbers";
import { LawTables } from "./law-tables";
import { MixtureMap } from "./mixture-map";
import { MixtureQuestion } from "./mixture-question";
import { RefinedSteps } from "./refined-steps";
import type { Shares } from "./shares";
import { TableFrame } from "../shell/table-frame";

interface Props {
  job: Job;
  trials: readonly Trial[];
  onSelect: (number: number) => void;
  /** Called with the trials that a box holds, where something can be done with them. */
  onChoose?: ((numbers: ReadonlySet<number>) => void) | undefined;
}

export function AnswerPanel({ job, trials, onSelect, onChoose }: Props) {
  const { data, error } = useQuery({
    // Each stage that ends may tell more.
    queryKey: ["answer", job.id, job.progress.completed, job.state],
    queryFn: ({ signal }) => getAnswer(job.id, signal),
    placeholderData: (previous) => previous,
    retry: false,
  });
  if (error instanceof ApiError && error.status === 404)
    return <p className="empty">The answer comes when the first trials are over.</p>;
  if (error) return <Failure error={error} what="The answer" />;
  if (!data)
    return (
      <p className="muted" role="status">
        Looking…
      </p>
    );
  if (data.kind === "mixture") return <MixtureView answer={data.answer} {...{ job, trials, onSelect, onChoose }} />;
  if (data.kind === "refine") return <RefinedSteps answer={data.answer} {...{ job, onSelect }} />;
  return <LawTables answer={data.answer} name={data.name} version={data.version} />;
}

/** What is recommended, what was measured, and a question about any other mixture. */
function MixtureView({ answer, ...shown }: Props & { answer: MixtureAnswer }) {
  const [asked, setAsked] = useState<Shares | null>(null);
  const shares = asked ?? answer.weights;
  return (
    <div className="mixture">
      <div>
        <Mixture answer={answer} />
        <MixtureQuestion job={shown.job} shares={shares} onChange={setAsked} />
      </div>
      <MixtureMap answer={answer} asked={asked} {...shown} />
    </div>
  );
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const between = (low: number, high: number): string => `${short(low)} to ${short(high)}`;

function Mixture({ answer }: { answer: MixtureAnswer }) {
  const effects = new Map(answer.effects.map((effect) => [effect.domain, effect]));
  const rows = Object.entries(answer.weights).sort(([, a], [, b]) => b - a);
  return (
    <div className="confirmation">
      <p>
        Predicted loss {short(answer.loss)} ({between(answer.low, answer.high)}); best measured{" "}
        {short(answer.best_measured_loss)}.
        {answer.held_out &&
          ` ${answer.held_out.mixtures} held-out mixtures were ranked with a correlation of ${answer.held_out.rank_correlation.toFixed(2)}.`}
      </p>
      <TableFrame>
        <table aria-label="Recommended mixture">
          <thead>
            <tr>
              <th scope="col">domain</th>
              <th scope="col" className="number">
                weight
              </th>
              <th scope="col" className="number">
                best measured
              </th>
              <th scope="col">loss with 5 % more of it</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([domain, weight]) => {
              const effect = effects.get(domain);
              return (
                <tr key={domain}>
                  <th scope="row">{domain}</th>
                  <td className="number">{percent(weight)}</td>
                  <td className="number">{percent(answer.best_measured[domain] ?? 0)}</td>
                  <td>{effect && `${short(effect.change)} (${between(effect.low, effect.high)})`}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </TableFrame>
      {answer.check && <Check check={answer.check} />}
      {answer.warnings.map((warning) => (
        <p key={warning} className="muted">
          {warning}
        </p>
      ))}
    </div>
  );
}

function Check({ check }: { check: NonNullable<MixtureAnswer["check"]> }) {
  return (
    <ul>
      {Object.entries(check.gain).map(([label, gain]) => (
        <li key={label}>
          Checked with {check.seeds} fresh seeds on unseen text: loss lower than the {label} mixture’s by{" "}
          {short(gain.value)}
          {gain.low !== null && gain.high !== null && ` (${between(gain.low, gain.high)})`}
        </li>
      ))}
    </ul>
  );
}
