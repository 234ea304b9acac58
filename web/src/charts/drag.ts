/** Drags over a chart: a box drawn with Shift held, or a drag that is told as it goes. */
import { type PointerEvent, useRef, useState } from "react";
import type { init } from "./echarts";

export type Interval = readonly [low: number, high: number];
export interface Box {
  x: Interval;
  y: Interval;
}

interface Drag {
  from: readonly [number, number];
  to: readonly [number, number];
}

/** What is drawn at the moment, in pixels, and what the chart's holder listens to. The chart itself does not see a drag with Shift. */
export function useDrag(
  chart: { current: ReturnType<typeof init> | null },
  onBox: ((box: Box) => void) | undefined,
  onDrag: ((right: number, down: number) => void) | undefined,
) {
  const [box, setBox] = useState<Drag | null>(null);
  const last = useRef<readonly [number, number] | null>(null);
  if (!onBox && !onDrag) return { drawn: null, handlers: {} };
  const place = (event: PointerEvent<HTMLDivElement>): readonly [number, number] => {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const handlers = {
    onPointerDown: (event: PointerEvent<HTMLDivElement>) => {
      const at = place(event);
      if (onBox && event.shiftKey) {
        event.currentTarget.setPointerCapture(event.pointerId);
        setBox({ from: at, to: at });
      } else if (onDrag && event.pointerType === "mouse" && event.button === 0) last.current = at;
    },
    onMouseDownCapture: (event: { shiftKey: boolean; stopPropagation: () => void; preventDefault: () => void }) => {
      if (!onBox || !event.shiftKey) return;
      event.stopPropagation();
      event.preventDefault(); // else the page's text is selected
    },
    onPointerMove: (event: PointerEvent<HTMLDivElement>) => {
      const at = place(event);
      if (box) setBox({ from: box.from, to: at });
      if (!last.current) return;
      if (event.buttons === 0) last.current = null;
      else {
        onDrag?.(at[0] - last.current[0], at[1] - last.current[1]);
        last.current = at;
      }
    },
    onPointerUp: () => {
      last.current = null;
      if (!box) return;
      setBox(null);
      const ends = [box.from, box.to].map((end) => chart.current?.convertFromPixel("grid", [...end]));
      const [[x = 0, y = 0], [u = 0, v = 0]] = ends as [number[], number[]];
      if (x !== u && y !== v) onBox?.({ x: [Math.min(x, u), Math.max(x, u)], y: [Math.min(y, v), Math.max(y, v)] });
    },
    onPointerCancel: () => {
      last.current = null;
      setBox(null);
    },
  };
  return { drawn: box && outline(box), handlers };
}

const outline = ({ from, to }: Drag) => ({
  left: Math.min(from[0], to[0]),
  top: Math.min(from[1], to[1]),
  width: Math.abs(to[0] - from[0]),
  height: Math.abs(to[1] - from[1]),
});
