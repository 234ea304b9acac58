/** What the lines of a chart stand for. */
interface Props {
  title: string;
  entries: readonly { text: string; look: { color: string; width: number; dashes: "solid" | "dashed" | "dotted" } }[];
}

/** Of strokes on a page, in its pixels. */
export const DASHES = { solid: "", dashed: "6 3", dotted: "2 3" } as const;

export function LineKey({ title, entries }: Props) {
  return (
    <ul className="legend line-key" aria-label={title}>
      {entries.map(({ text, look }) => (
        <li key={text}>
          <svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">
            <path
              d="M0 4h28"
              stroke={look.color}
              strokeWidth={look.width + 0.5}
              strokeDasharray={DASHES[look.dashes]}
            />
          </svg>{" "}
          {text}
        </li>
      ))}
    </ul>
  );
}
