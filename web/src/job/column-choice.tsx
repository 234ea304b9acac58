/** Which columns the trials table shows. */
import type { Column } from "./columns";

interface Props {
  columns: readonly Column[];
  hidden: ReadonlySet<string>;
  onChange: (hidden: ReadonlySet<string>) => void;
}

export function ColumnChoice({ columns, hidden, onChange }: Props) {
  const toggle = (id: string) => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    onChange(next);
  };
  return (
    <details className="menu">
      <summary>Columns</summary>
      <div role="group" aria-label="Columns">
        {columns.map(({ id, title }) => (
          <label key={id}>
            <input type="checkbox" checked={!hidden.has(id)} onChange={() => toggle(id)} /> {title}
          </label>
        ))}
      </div>
    </details>
  );
}
