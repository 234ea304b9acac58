/** An ECharts canvas as a component. What it shows is also said in `label`, for those who cannot see it. */
import { type KeyboardEvent, useEffect, useRef } from "react";
import { type Box, type Interval, useDrag } from "./drag";
import type { Cloud } from "./cloud";
import { type ChartOption, init, type ParallelOption } from "./echarts";
import { KEYS, moved, type Range, WHOLE, zoomId } from "./moving";
import { usePointing } from "./pointing";

/**
 * Draw `option` in place of what was drawn. Axes are replaced, not merged: ticks placed by hand would else stay on a
 * scale that has none of its own, and vanish from it.
 */
export function show(chart: ReturnType<typeof init>, option: ChartOption | ParallelOption): void {
  // The parts of parallel coordinates hold on to each other, so they are made anew as a whole.
  if ("parallelAxis" in option) chart.setOption(option as object as ChartOption, { notMerge: true });
  else chart.setOption(option, { replaceMerge: ["series", "xAxis", "yAxis"], lazyUpdate: true });
}

const AXIS = "axis ";
/** The id that the parallel axis at this place must have in the option. */
export const parallelAxisId = (place: number): string => `${AXIS}${place}`;

/** The axes on which something else is brushed than `known` says, with what is. */
export const changedBrushes = (
  known: ReadonlyMap<number, readonly Interval[]>,
  brushes: readonly (readonly Interval[])[],
): [axis: number, intervals: readonly Interval[]][] =>
  [...brushes.entries()].filter(([axis, intervals]) => String(intervals) !== String(known.get(axis) ?? []));

interface Props {
  option: ChartOption | ParallelOption;
  label: string;
  className: string;
  /** Pixels; what the style sheet says where it is left out. */
  height?: number;
  /** Called with the value array of a clicked point. */
  onPick?: (value: readonly number[]) => void;
  /** The points of the option's pictures that can be picked; it has a `nearSeries` for the one under the pointer. */
  clouds?: readonly Cloud[] | undefined;
  /** What is brushed on each parallel axis, in positions; drawn as given, and told by `onBrush` when somebody brushes. */
  brushes?: readonly (readonly Interval[])[];
  onBrush?: (axis: number, intervals: readonly Interval[]) => void;
  /** Called with what a box spans that is drawn with Shift held, in positions on the axes. */
  onBox?: (box: Box) => void;
  /** Called with the pixels of a drag, where dragging does not move what is shown. */
  onDrag?: (right: number, down: number) => void;
}

type Instance = ReturnType<typeof init>;

export function Chart({ option, label, className, height, onPick, clouds, brushes, onBrush, onBox, onDrag }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<Instance | null>(null);
  const pick = useRef(onPick);
  const brush = useRef(onBrush);
  /** What the chart shows as brushed, by axis. */
  const brushed = useRef(new Map<number, readonly Interval[]>());
  const { drawn, handlers } = useDrag(chart, onBox, onDrag);
  useEffect(() => {
    pick.current = onPick;
    brush.current = onBrush;
  });

  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const instance = init(element, null, { renderer: "canvas" });
    chart.current = instance;
    instance.on("click", ({ value }) => {
      if (Array.isArray(value)) pick.current?.(value as number[]);
    });
    instance.on("axisareaselected", (event) => {
      const { parallelAxisId, intervals } = event as unknown as { parallelAxisId: string; intervals: Interval[] };
      const axis = Number(parallelAxisId.slice(AXIS.length));
      brushed.current.set(axis, intervals);
      brush.current?.(axis, intervals);
    });
    const observer = new ResizeObserver(() => instance.resize());
    observer.observe(element);
    return () => {
      observer.disconnect();
      instance.dispose();
      chart.current = null;
    };
  }, []);

  useEffect(() => {
    if (chart.current) show(chart.current, option);
    brushed.current.clear(); // a new option forgets what was brushed
  }, [option]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => {
    const changed = changedBrushes(brushed.current, brushes ?? []);
    for (const [axis, intervals] of changed) brushed.current.set(axis, intervals);
    // In one go: each action draws the whole chart anew.
    const batch = changed.map(([axis, intervals]) => ({ parallelAxisId: parallelAxisId(axis), intervals }));
    if (batch.length) chart.current?.dispatchAction({ type: "axisAreaSelect", batch }, { silent: true });
  }, [brushes, option]);

  usePointing(chart, option, clouds);

  const zooms = "dataZoom" in option;
  return (
    <div className={`${className} chart-holder`} style={height === undefined ? undefined : { height }} {...handlers}>
      <div
        ref={holder}
        className="chart-canvas"
        role="img"
        aria-label={label}
        {...(zooms && { tabIndex: 0, "aria-keyshortcuts": KEYS, onKeyDown: (event) => move(chart.current, event) })}
      />
      {drawn && <div className="chart-box" style={drawn} />}
    </div>
  );
}

/** Keys move what is shown as the mouse does. */
function move(chart: Instance | null, event: KeyboardEvent): void {
  const shown = (chart?.getOption()["dataZoom"] ?? []) as (Range & { id: string })[];
  const range = (axis: "x" | "y"): Range => shown.find(({ id }) => id === zoomId(axis)) ?? WHOLE[axis];
  const next = moved(event.key, { x: range("x"), y: range("y") });
  if (!chart || !next || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const batch = (["x", "y"] as const).map((axis) => ({ dataZoomId: zoomId(axis), ...next[axis] }));
  chart.dispatchAction({ type: "dataZoom", batch });
}
