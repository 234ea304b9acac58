/** The clauses that the trials shown must meet: each can go, and new ones are written here. */
import { type FormEvent, useState } from "react";
import type { Trial } from "../api/types";
import { type Clause, clauseText, parseClause, type Relation } from "./clauses";

interface Props {
  /** What can be asked about. */
  names: readonly string[];
  clauses: readonly Clause[];
  onChange: (clauses: readonly Clause[]) => void;
}

const SIGNS: Record<Relation, string> = { "<=": "≤", ">=": "≥", "==": "=" };

/** Words of one clause that are spelled out. */
const SPELLED = 8;

const spelled = (values: readonly string[]): string =>
  values.length > SPELLED
    ? `${values.slice(0, SPELLED).join(" or ")} or ${values.length - SPELLED} more`
    : values.join(" or ");

/** What trials can be asked about. */
export const filterNames = (metrics: readonly string[], trials: readonly Trial[]): string[] => [
  "number",
  "state",
  "tags",
  ...metrics,
  ...parameters(trials),
];

/** Every parameter that some trial has, by name. */
function parameters(trials: readonly Trial[]): string[] {
  const found = new Set<string>();
  for (const { config } of trials) for (const name in config) found.add(name);
  return [...found].sort();
}

export function FilterBar({ names, clauses, onChange }: Props) {
  return (
    <div className="filter-bar">
      <ul aria-label="Filters">
        {clauses.map((clause, at) => {
          const text = `${clause.name} ${SIGNS[clause.relation]} ${spelled(clause.values)}`;
          return (
            <li key={clauseText(clause)} className="chip">
              {text}
              <button
                type="button"
                aria-label={`Remove ${text}`}
                onClick={() => onChange(clauses.filter((_, other) => other !== at))}
              >
                ×
              </button>
            </li>
          );
        })}
      </ul>
      <NewClause names={names} onAdd={(clause) => onChange([...clauses, clause])} />
      {clauses.length > 1 && (
        <button type="button" className="small" onClick={() => onChange([])}>
          Remove all
        </button>
      )}
    </div>
  );
}

function NewClause({ names, onAdd }: { names: readonly string[]; onAdd: (clause: Clause) => void }) {
  const [name, setName] = useState("");
  const [relation, setRelation] = useState<Relation>("<=");
  const [value, setValue] = useState("");
  const chosen = name || (names[0] ?? "");
  const clause = parseClause(`${chosen}${relation}${value.trim()}`);
  const add = (event: FormEvent) => {
    event.preventDefault();
    if (!clause) return;
    onAdd(clause);
    setValue("");
  };
  return (
    <form className="limit" onSubmit={add}>
      <select aria-label="Filter: column" value={chosen} onChange={(event) => setName(event.target.value)}>
        {names.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
      <select
        aria-label="Filter: relation"
        value={relation}
        onChange={(event) => setRelation(event.target.value as Relation)}
      >
        {Object.entries(SIGNS).map(([key, sign]) => (
          <option key={key} value={key}>
            {sign}
          </option>
        ))}
      </select>
      <input
        aria-label="Filter: value"
        value={value}
        aria-invalid={value !== "" && !clause}
        onChange={(event) => setValue(event.target.value)}
      />
      <button type="submit" className="small" disabled={!clause}>
        Filter
      </button>
    </form>
  );
}
