/** The visible switch of an axis: what fits, linear, or by decades. */
import { useState } from "react";
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

export interface Kinds {
  x: Kind;
  y: Kind;
}

/** Both axes as one chooses them for as long as the chart is there. */
export function useKinds() {
  const [kinds, onKinds] = useState<Kinds>({ x: null, y: null });
  return { kinds, onKinds };
}

interface BothProps {
  /** Which chart: `slice`. */
  of: string;
  kinds: Kinds;
  onChange: (kinds: Kinds) => void;
  /** Axes whose values are no numbers have no scale to choose. */
  has?: { x: boolean; y: boolean };
}

/** The switches of both axes in one line. */
export function ScaleChoices({ of, kinds, onChange, has = { x: true, y: true } }: BothProps) {
  return (
    <div className="axes">
      {has.y && (
        <span className="inline">
          up
          <ScaleChoice label={`Scale of the ${of} up`} value={kinds.y} onChange={(y) => onChange({ ...kinds, y })} />
        </span>
      )}
      {has.x && (
        <span className="inline">
          across
          <ScaleChoice
            label={`Scale of the ${of} across`}
            value={kinds.x}
            onChange={(x) => onChange({ ...kinds, x })}
          />
        </span>
      )}
    </div>
  );
}
