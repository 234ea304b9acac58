/** A value and the interval around it. */
import type { Estimate } from "../api/types";
import { metricValue } from "../text/numbers";

interface Props {
  estimate: Estimate | null;
  unit?: string | undefined;
  signed?: boolean;
}

export function EstimateText({ estimate, unit, signed = false }: Props) {
  if (estimate === null) return <>–</>;
  const text = (value: number) => `${signed && value > 0 ? "+" : ""}${metricValue(value, unit)}`;
  if (estimate.low === estimate.high) return <>{text(estimate.value)}</>;
  return (
    <span title={`${Math.round(estimate.level * 100)} % interval`}>
      {text(estimate.value)}{" "}
      <span className="muted">
        {text(estimate.low)} to {text(estimate.high)}
      </span>
    </span>
  );
}
