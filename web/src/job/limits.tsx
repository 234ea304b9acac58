/** Rows of `metric ≤ number` that the best configuration must satisfy. */

export interface Limit {
  metric: string;
  relation: "<=" | ">=";
  value: string;
}

/** The filled-in rows in the form of the API: `trainable_params<=20000`. */
export const usable = (limits: readonly Limit[]): string[] =>
  limits
    .filter(({ value }) => value.trim() !== "" && Number.isFinite(Number(value)))
    .map(({ metric, relation, value }) => `${metric}${relation}${Number(value)}`);

interface Props {
  names: readonly string[];
  limits: readonly Limit[];
  onChange: (limits: Limit[]) => void;
}

export function Limits({ names, limits, onChange }: Props) {
  const change = (index: number, part: Partial<Limit>) =>
    onChange(limits.map((limit, at) => (at === index ? { ...limit, ...part } : limit)));
  return (
    <fieldset className="limits">
      <legend className="sr-only">Limits</legend>
      {limits.map((limit, index) => (
        <div key={index} className="limit">
          <span>where</span>
          <select
            aria-label={`Limit ${index + 1}: metric`}
            value={limit.metric}
            onChange={(event) => change(index, { metric: event.target.value })}
          >
            {names.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
          <select
            aria-label={`Limit ${index + 1}: relation`}
            value={limit.relation}
            onChange={(event) => change(index, { relation: event.target.value === ">=" ? ">=" : "<=" })}
          >
            <option value="<=">≤</option>
            <option value=">=">≥</option>
          </select>
          <input
            aria-label={`Limit ${index + 1}: value`}
            inputMode="decimal"
            placeholder="any"
            value={limit.value}
            onChange={(event) => change(index, { value: event.target.value })}
          />
          <button
            type="button"
            className="small"
            aria-label={`Remove limit ${index + 1}`}
            onClick={() => onChange(limits.filter((_, at) => at !== index))}
          >
            ×
          </button>
        </div>
      ))}
      <button
        type="button"
        className="small"
        onClick={() => onChange([...limits, { metric: names[0] ?? "", relation: "<=", value: "" }])}
      >
        Add a limit
      </button>
    </fieldset>
  );
}
