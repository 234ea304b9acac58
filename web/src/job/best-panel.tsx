/** Door to `best`: the best configuration under limits, with the code that rebuilds it. */
import { useState } from "react";
import type { Job, MetricInfo } from "../api/types";
import { BestAnswer } from "./best-answer";
import { type Limit, Limits, usable } from "./limits";

interface Props {
  job: Job;
  names: readonly string[];
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
}

export function BestPanel({ job, names, metrics, onSelect }: Props) {
  // Until somebody chooses, what comes first: more metrics appear when the trials arrive.
  const [picked, setPicked] = useState<string | null>(null);
  const [changed, setChanged] = useState<Limit[] | null>(null);
  const metric = picked ?? names[0] ?? "";
  const limits = changed ?? [{ metric: names[1] ?? metric, relation: "<=", value: "" }];
  return (
    <div className="best">
      <div className="best-question">
        <label className="inline">
          Best
          <select value={metric} onChange={(event) => setPicked(event.target.value)}>
            {names.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <Limits names={names} limits={limits} onChange={setChanged} />
      </div>
      <BestAnswer job={job} metric={metric} where={usable(limits)} metrics={metrics} onSelect={onSelect} />
    </div>
  );
}
