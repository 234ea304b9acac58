/** The frame of a table. Where the table is wider it scrolls, and then the keyboard reaches it, too. */
import { type ReactNode, useEffect, useRef, useState } from "react";

export function TableFrame({ children }: { children: ReactNode }) {
  const frame = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const shown = frame.current;
    if (!shown) return;
    const observer = new ResizeObserver(() =>
      setScrolls(shown.scrollWidth > shown.clientWidth || shown.scrollHeight > shown.clientHeight),
    );
    observer.observe(shown);
    for (const child of shown.children) observer.observe(child);
    return () => observer.disconnect();
  }, []);
  return (
    <div
      ref={frame}
      className="table-frame"
      {...(scrolls && { role: "group", tabIndex: 0, "aria-label": "Table that scrolls sideways" })}
    >
      {children}
    </div>
  );
}
