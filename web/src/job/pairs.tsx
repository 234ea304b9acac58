/** Name and value, line by line. */
import type { ReactNode } from "react";

interface PairProps {
  name: string;
  value: ReactNode;
  hint?: string | undefined;
}

export function Pair({ name, value, hint }: PairProps) {
  return (
    <div>
      <dt title={hint}>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** A list of pairs; `mono` for what is read letter by letter. */
export function Pairs({ entries, mono = false }: { entries: readonly PairProps[]; mono?: boolean }) {
  return (
    <dl className={mono ? "pairs mono" : "pairs"}>
      {entries.map((entry) => (
        <Pair key={entry.name} {...entry} />
      ))}
    </dl>
  );
}
