/** A table that draws only the rows in view. Arrow keys walk through the rows, Enter opens one. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { Trial } from "../api/types";
import type { Column, Order } from "./columns";

interface Props {
  rows: readonly Trial[];
  columns: readonly Column[];
  order: Order;
  selected: Trial | undefined;
  front: ReadonlySet<string>;
  onSelect: (number: number) => void;
  onOrder: (order: Order) => void;
}

/** Must equal `--row-height`. */
const ROW_HEIGHT = 30;
const PAGE = 12;

export function TrialsTable({ rows, columns, order, selected, front, onSelect, onOrder }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState<number | null>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    // Where there is no layout yet, assume a screenful.
    initialRect: { width: 1000, height: 600 },
  });
  const items = virtual.getVirtualItems();
  const above = items[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  const here = Math.min(focused ?? Math.max(0, selected ? rows.indexOf(selected) : 0), rows.length - 1);

  // biome-ignore lint/correctness/useExhaustiveDependencies: other rows in view are what brings the focus back
  useEffect(() => {
    // A row that scrolled out of view took the focus with it; give it back unless it went somewhere else meanwhile.
    const frame = scroller.current;
    const free = document.activeElement === document.body || frame?.contains(document.activeElement);
    if (focused !== null && free)
      frame?.querySelector<HTMLElement>(`tr[data-index="${focused}"]`)?.focus({ preventScroll: true });
  }, [focused, items]);

  const goTo = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    virtual.scrollToIndex(next, { align: "auto" });
    setFocused(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!(event.target instanceof HTMLTableRowElement)) return;
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: PAGE,
      PageUp: -PAGE,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    const row = rows[here];
    if (step !== undefined) goTo(here + step);
    else if ((event.key === "Enter" || event.key === " ") && row) onSelect(row.number);
    else return;
    event.preventDefault();
  };

  return (
    <div className="table-frame trials-scroller" ref={scroller}>
      <table
        className="trials-table"
        role="grid"
        aria-label="Trials"
        aria-rowcount={rows.length + 1}
        onKeyDown={onKeyDown}
        onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && setFocused(null)}
        style={{ width: columns.reduce((sum, column) => sum + column.width, 0) }}
      >
        <colgroup>
          {columns.map((column) => (
            <col key={column.id} style={{ width: column.width }} />
          ))}
        </colgroup>
        <Head columns={columns} order={order} onOrder={onOrder} />
        <tbody>
          {above > 0 && <tr aria-hidden="true" className="spacer" style={{ height: above }} />}
          {items.map(({ index }) => {
            const trial = rows[index];
            if (!trial) return null;
            return (
              <tr
                key={trial.id}
                data-index={index}
                data-state={trial.state}
                data-front={front.has(trial.id) || undefined}
                aria-rowindex={index + 2}
                aria-selected={trial === selected}
                tabIndex={index === here ? 0 : -1}
                onFocus={() => setFocused(index)}
                onClick={() => onSelect(trial.number)}
              >
                {columns.map((column, at) => (
                  <td key={column.id} className={column.numeric ? "number" : undefined} {...stuck(columns, at)}>
                    {column.cell(trial)}
                  </td>
                ))}
              </tr>
            );
          })}
          {below > 0 && <tr aria-hidden="true" className="spacer" style={{ height: below }} />}
        </tbody>
      </table>
    </div>
  );
}

/** Columns that stay where they are while the others scroll sideways under them, each beside the one before. */
function stuck(columns: readonly Column[], at: number) {
  if (columns.slice(0, at + 1).some(({ sticky }) => !sticky)) return {};
  const left = columns.slice(0, at).reduce((sum, { width }) => sum + width, 0);
  return { "data-sticky": at + 1, style: { "--left": `${left}px` } as CSSProperties };
}

function Head({ columns, order, onOrder }: Pick<Props, "columns" | "order" | "onOrder">) {
  return (
    <thead>
      <tr aria-rowindex={1}>
        {columns.map((column, at) => {
          const sorted = order.column === column.id;
          return (
            <th
              key={column.id}
              scope="col"
              {...stuck(columns, at)}
              className={column.numeric ? "number" : undefined}
              aria-sort={sorted ? (order.descending ? "descending" : "ascending") : "none"}
            >
              <button
                type="button"
                title={`Sort by ${column.title}`}
                onClick={() => onOrder({ column: column.id, descending: sorted ? !order.descending : column.numeric })}
              >
                {column.title}
              </button>
            </th>
          );
        })}
      </tr>
    </thead>
  );
}
