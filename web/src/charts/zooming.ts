/** What part of a chart is shown, and how the wheel, drags, keys and a double click change it. */
import { type KeyboardEvent, type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type ChartOption, type init, isParallel, type ParallelOption } from "./echarts";
import {
  CLOSER,
  isWhole,
  moved,
  type Place,
  scaledAt,
  shifted,
  type Range,
  WHOLE,
  type Window,
  zoomId,
} from "./moving";
import { isAtAxis, parallelPixels, seenThrough, type Size } from "./parallel";

type Instance = ReturnType<typeof init>;
type Option = ChartOption | ParallelOption;

export interface Zoom {
  /** What to draw: of two axes the option as it is, for there the chart itself zooms. */
  seen: Option;
  window: RefObject<Window>;
  /** Whether nothing is hidden. */
  isWhole: boolean;
  onKeyDown: (event: KeyboardEvent) => void;
  whole: () => void;
}

/** Both axes of a grid are zoomed by the chart, which tells of it; parallel coordinates are drawn anew by us. */
export function useZoom(chart: RefObject<Instance | null>, option: Option): Zoom {
  const parallel = isParallel(option) ? option : null;
  const isOurs = parallel !== null;
  const window = useRef<Window>(WHOLE);
  const [all, setAll] = useState(true);
  const [part, setPart] = useState<{ window: Window; size: Size }>({ window: WHOLE, size: { width: 0, height: 0 } });
  const take = useCallback((next: Window) => {
    window.current = next;
    setAll(isWhole(next));
  }, []);
  const go = useCallback(
    (next: Window) => {
      take(next);
      if (parallel) setPart(({ size }) => ({ window: next, size }));
      else chart.current?.dispatchAction({ type: "dataZoom", batch: batchOf(next) });
    },
    [chart, parallel, take],
  );
  const whole = useCallback(() => go(WHOLE), [go]);
  const back = useRef(whole);
  useEffect(() => {
    back.current = whole;
  });
  useEffect(() => {
    const instance = chart.current;
    if (!instance) return;
    instance.on("datazoom", (event) => take(told(event as ZoomEvent, window.current)));
    instance.getZr().on("dblclick", ({ target }) => {
      if (!target) back.current();
    });
  }, [chart, take]);
  useEffect(() => {
    const element = chart.current?.getDom();
    if (!element || !isOurs) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setPart((before) => ({ ...before, size: entry.contentRect }));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [chart, isOurs]);
  const onKeyDown = useCallback(
    (event: KeyboardEvent) => {
      const next = moved(event.key, window.current);
      if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      go(next);
    },
    [go],
  );
  useParallelPointer(chart, parallel, window, go);
  const seen = useMemo(
    () => (parallel ? seenThrough(parallel, part.window, part.size) : option),
    [option, parallel, part],
  );
  return { seen, window, isWhole: all, onKeyDown, whole };
}

interface ZoomEvent {
  batch?: readonly (Partial<Range> & { dataZoomId?: string })[];
}

const AXES = ["x", "y"] as const;

const batchOf = (window: Window) => AXES.map((axis) => ({ dataZoomId: zoomId(axis), ...window[axis] }));

/** The window after what the chart tells: an axis that is not told of stays. */
function told(event: ZoomEvent, before: Window): Window {
  const parts = event.batch ?? [event as Partial<Range> & { dataZoomId?: string }];
  const range = (axis: "x" | "y"): Range => {
    const { start, end } = parts.find(({ dataZoomId }) => dataZoomId === zoomId(axis)) ?? before[axis];
    return start === undefined || end === undefined ? before[axis] : { start, end };
  };
  return { x: range("x"), y: range("y") };
}

/** Ctrl and the wheel zoom parallel coordinates where the pointer is; a drag between two axes moves along. */
function useParallelPointer(
  chart: RefObject<Instance | null>,
  parallel: ParallelOption | null,
  window: RefObject<Window>,
  go: (next: Window) => void,
): void {
  useEffect(() => {
    const instance = chart.current;
    const element = instance?.getDom();
    if (!instance || !element || !parallel) return;
    const size = () => ({ width: instance.getWidth(), height: instance.getHeight() });
    const placeOf = ({ offsetX, offsetY }: { offsetX: number; offsetY: number }): Place => {
      const { x0, y0, perX, perY } = parallelPixels(parallel, WHOLE, size());
      const last = Math.max(1, parallel.parallelAxis.length - 1);
      return { x: within((offsetX - x0) / (perX * last)), y: within((offsetY - y0) / perY) };
    };
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      event.stopPropagation();
      go(scaledAt(window.current, placeOf(event), event.deltaY < 0 ? CLOSER : 1 / CLOSER));
    };
    let last: Place | null = null;
    const onDown = (event: PointerEvent) => {
      const free = event.pointerType === "mouse" && event.button === 0;
      last = free && !isAtAxis(parallel, window.current, size(), event.offsetX) ? placeOf(event) : null;
    };
    const onMove = (event: PointerEvent) => {
      if (!last) return;
      const here = placeOf(event);
      if (event.buttons) go(shifted(window.current, { x: last.x - here.x, y: last.y - here.y }));
      last = event.buttons ? here : null;
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    element.addEventListener("pointerdown", onDown);
    element.addEventListener("pointermove", onMove);
    return () => {
      element.removeEventListener("wheel", onWheel);
      element.removeEventListener("pointerdown", onDown);
      element.removeEventListener("pointermove", onMove);
    };
  }, [chart, parallel, window, go]);
}

const within = (share: number): number => Math.min(Math.max(share, 0), 1);
