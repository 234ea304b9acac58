/** The visible switch of an axis: what fits, linear, or by decades. */
import type { Scale } from "./scale";

export type Kind = Scale["kind"] | null;

/** What an address says of an axis; null: whatever fits. */
export const kindOf = (text: string | null): Kind => (text === "linear" || text === "log" ? text : null);

export function ScaleChoice({
  label,
  value,
  onChange,
}: {
  label: string;
  value: Kind;
  onChange: (kind: Kind) => void;
}) {
  return (
    <select aria-label={label} value={value ?? ""} onChange={(event) => onChange(kindOf(event.target.value))}>
      <option value="">auto</option>
      <option>linear</option>
      <option>log</option>
    </select>
  );
}
