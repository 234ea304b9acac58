/** What a trial's model answered to held-out rows, beside its base. */
import type { Generations } from "../api/types";
import { short } from "../text/numbers";

const score = (value: number | undefined) => (value === undefined ? "–" : short(value));

export function TrialAnswers({ found }: { found: Generations }) {
  const scores = Object.keys(found.metrics).map(
    (name) => `${name} ${score(found.metrics[name])}, base ${score(found.base_metrics[name])}`,
  );
  return (
    <>
      <p className="muted">
        {found.rows} rows answered: {scores.join("; ")}
      </p>
      {found.answers.map((one) => (
        <dl key={one.row} className="pairs">
          {[
            ["prompt", one.prompt],
            ["reference", one.reference],
            ["base", one.base.answer],
            ["this trial", one.answer],
          ].map(([name, text]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{text}</dd>
            </div>
          ))}
        </dl>
      ))}
    </>
  );
}
