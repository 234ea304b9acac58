/** What each step of a refine job came to: its best trial and what that reached. */
import { useMetrics } from "../api/queries";
import type { Job, RefineAnswer } from "../api/types";
import { metricValue } from "../text/numbers";
import { TableFrame } from "../shell/table-frame";

interface Props {
  job: Job;
  answer: RefineAnswer;
  onSelect: (number: number) => void;
}

export function RefinedSteps({ job, answer, onSelect }: Props) {
  const metrics = useMetrics();
  return (
    <TableFrame>
      <table aria-label="Steps">
        <thead>
          <tr>
            <th scope="col">step</th>
            <th scope="col">best trial</th>
            {job.objectives.map(({ metric }) => (
              <th key={metric} scope="col" className="number">
                {metric}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {answer.steps.map(({ step, trial, objectives }) => (
            <tr key={step}>
              <th scope="row">{step}</th>
              <td>
                <button type="button" className="link" onClick={() => onSelect(trial)}>
                  Trial {trial}
                </button>
              </td>
              {job.objectives.map(({ metric }) => (
                <td key={metric} className="number">
                  {metricValue(objectives[metric], metrics.get(metric)?.unit)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}
