/** What the front reached again with fresh seeds on rows that the search never saw, beside what was promised. */
import { useConfirmation } from "../api/queries";
import type { Confirmation, ConfirmedObjective, Job, MetricInfo, Trial } from "../api/types";
import { Failure } from "../shell/failure";
import { metricValue } from "../text/numbers";
import { EstimateText } from "./estimate";
import { ReferenceMark } from "./trial-marks";
import { TableFrame } from "../shell/table-frame";

interface Props {
  job: Job;
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
}

export function ConfirmationPanel({ job, metrics, onSelect }: Props) {
  const { data, error } = useConfirmation(job);
  if (error) return <Failure error={error} what="The confirmation" />;
  if (!data)
    return (
      <p className="muted" role="status">
        Looking…
      </p>
    );
  if (data.items.length === 0)
    return <p className="empty">The front is trained again as soon as the search is over.</p>;
  return (
    <div className="confirmation">
      <p>{summary(data)}</p>
      <TableFrame>
        <table aria-label="Confirmed trials">
          <thead>
            <tr>
              <th scope="col">trial</th>
              <th scope="col">metric</th>
              <th scope="col" className="number">
                searched
              </th>
              <th scope="col">promised</th>
              <th scope="col">confirmed</th>
              <th scope="col">kept</th>
              <th scope="col">gain left</th>
            </tr>
          </thead>
          <tbody>
            {data.items.flatMap(({ trial, objectives, failed }) =>
              objectives.map((one) => (
                <Row
                  key={`${trial.id} ${one.metric}`}
                  {...{ trial, one, failed, onSelect }}
                  unit={metrics.get(one.metric)?.unit}
                />
              )),
            )}
          </tbody>
        </table>
      </TableFrame>
    </div>
  );
}

function summary({ kept, promised, promises, seeds, split, state }: Confirmation): string {
  const still = state === "done" ? "" : " Repetitions are still running.";
  const told = promises
    ? `${kept} of ${promises} means lie where the search promised.`
    : promised
      ? `${promised} means are promised; none of them has the two seeds yet that judging takes.`
      : "The search had too few trials to promise anything.";
  return `Trained again with ${seeds} fresh seeds, measured on the ${split} rows. ${told}${still}`;
}

interface RowProps {
  trial: Trial;
  one: ConfirmedObjective;
  failed: number;
  unit: string | undefined;
  onSelect: (number: number) => void;
}

function Row({ trial, one, failed, unit, onSelect }: RowProps) {
  return (
    <tr>
      <td>
        <button type="button" className="link" onClick={() => onSelect(trial.number)}>
          Trial {trial.number}
        </button>{" "}
        <ReferenceMark trial={trial} />
      </td>
      <td>{one.metric}</td>
      <td className="number">{one.searched === null ? "–" : metricValue(one.searched, unit)}</td>
      <td>
        <EstimateText estimate={one.promised} unit={unit} />
      </td>
      <td>
        {one.confirmed ? <EstimateText estimate={one.confirmed} unit={unit} /> : `${one.seeds} so far`}
        {failed > 0 && <span className="muted"> {failed} failed</span>}
      </td>
      <td data-kept={one.kept}>{one.kept === null ? "–" : one.kept ? "yes" : "no"}</td>
      <td>
        {one.gain ? (
          <>
            <EstimateText estimate={one.gain.confirmed} unit={unit} signed /> of a searched{" "}
            {metricValue(one.gain.searched, unit)}
          </>
        ) : (
          "–"
        )}
      </td>
    </tr>
  );
}
