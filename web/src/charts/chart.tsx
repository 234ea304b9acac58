/** An ECharts canvas as a component. What it shows is also said in `label`, for those who cannot see it. */
import { type CSSProperties, useEffect, useMemo, useRef } from "react";
import { numbersIn } from "./chosen";
import type { Cloud } from "./cloud";
import { type Box, type Interval, useDrag } from "./drag";
import { type ChartOption, init, isParallel, type ParallelOption } from "./echarts";
import { KEYS } from "./moving";
import { usePointing } from "./pointing";
import type register from "./register.json";
import type { Stroke } from "./strokes";
import { useZoom } from "./zooming";

/** Every chart of the page: `register.json` says what a click on it opens, and whether a box chooses among its trials. */
export type ChartName = keyof typeof register;

/**
 * Draw `option` in place of what was drawn. Axes are replaced, not merged: ticks placed by hand would else stay on a
 * scale that has none of its own, and vanish from it.
 */
export function show(chart: ReturnType<typeof init>, option: ChartOption | ParallelOption): void {
  // The parts of parallel coordinates hold on to each other, so they are made anew as a whole.
  if (isParallel(option)) chart.setOption(option as object as ChartOption, { notMerge: true });
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
  name: ChartName;
  option: ChartOption | ParallelOption;
  label: string;
  className: string;
  /** Pixels; what the style sheet says where it is left out. */
  height?: number;
  /** Called with the value array of a clicked point, or of the nearest vertex of a clicked line. */
  onPick?: (value: readonly number[]) => void;
  /** The points of the option's pictures that can be picked; it has a `nearSeries` for the one under the pointer. */
  clouds?: readonly Cloud[] | undefined;
  /** The lines of the option that can be picked. */
  strokes?: readonly Stroke[] | undefined;
  /** What is brushed on each parallel axis, in positions; drawn as given, and told by `onBrush` when somebody brushes. */
  brushes?: readonly (readonly Interval[])[];
  onBrush?: (axis: number, intervals: readonly Interval[]) => void;
  /** Called with what a box spans that is drawn with Shift held, in positions on the axes, and the trials in it. */
  onBox?: ((box: Box, numbers: ReadonlySet<number>) => void) | undefined;
  /** Called with the pixels of a drag, where dragging does not move what is shown. */
  onDrag?: (right: number, down: number) => void;
}

type Instance = ReturnType<typeof init>;

export function Chart(props: Props) {
  const { name, option, label, className, height, onPick, clouds, strokes, onBox, onDrag } = props;
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<Instance | null>(null);
  const pick = useRef(onPick);
  useEffect(() => {
    pick.current = onPick;
  });
  useInstance(holder, chart);
  useEffect(() => {
    chart.current?.on("click", ({ value }) => {
      if (Array.isArray(value)) pick.current?.(value as number[]);
    });
  }, []);
  const zoom = useZoom(chart, option);
  const { seen } = zoom;
  const box =
    onBox && !isParallel(option)
      ? (drawn: Box) => onBox(drawn, numbersIn({ option, clouds, strokes }, drawn))
      : undefined;
  const { drawn, handlers } = useDrag(chart, box, onDrag);

  useEffect(() => {
    if (chart.current) show(chart.current, seen);
  }, [seen]);

  useBrushes(chart, seen, props.brushes, props.onBrush);
  const line = usePointing(chart, { option, clouds, strokes, window: zoom.window, onPick });
  const inset = useMemo(() => insetOf(option), [option]);
  return (
    <div
      className={`${className} chart-holder`}
      data-chart={name}
      style={height === undefined ? undefined : { height }}
      {...handlers}
    >
      <div
        ref={holder}
        className="chart-canvas"
        role="img"
        aria-label={label}
        tabIndex={0}
        aria-keyshortcuts={KEYS}
        onKeyDown={zoom.onKeyDown}
      />
      {line && (
        <svg className="chart-line" aria-hidden="true" style={inset}>
          <polyline points={line} />
        </svg>
      )}
      {!zoom.isWhole && (
        <button
          type="button"
          className="small chart-whole"
          onClick={() => {
            zoom.whole();
            holder.current?.focus();
          }}
        >
          Whole chart
        </button>
      )}
      {drawn && <div className="chart-box" style={drawn} />}
    </div>
  );
}

/** Made before anything else listens to it, and as large as its holder. */
function useInstance(holder: { current: HTMLDivElement | null }, chart: { current: Instance | null }): void {
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const instance = init(element, null, { renderer: "canvas" });
    chart.current = instance;
    const observer = new ResizeObserver(() => instance.resize());
    observer.observe(element);
    return () => {
      observer.disconnect();
      instance.dispose();
      chart.current = null;
    };
  }, [holder, chart]);
}

/** Tell what is brushed on parallel axes, and show what is said to be. */
function useBrushes(
  chart: { current: Instance | null },
  option: ChartOption | ParallelOption,
  brushes: Props["brushes"],
  onBrush: Props["onBrush"],
): void {
  const brush = useRef(onBrush);
  /** What the chart shows as brushed, by axis. */
  const brushed = useRef(new Map<number, readonly Interval[]>());
  useEffect(() => {
    brush.current = onBrush;
  });
  useEffect(() => {
    chart.current?.on("axisareaselected", (event) => {
      const { parallelAxisId, intervals } = event as unknown as { parallelAxisId: string; intervals: Interval[] };
      const axis = Number(parallelAxisId.slice(AXIS.length));
      brushed.current.set(axis, intervals);
      brush.current?.(axis, intervals);
    });
  }, [chart]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new option forgets what was brushed
  useEffect(() => brushed.current.clear(), [option]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => {
    const changed = changedBrushes(brushed.current, brushes ?? []);
    for (const [axis, intervals] of changed) brushed.current.set(axis, intervals);
    // In one go: each action draws the whole chart anew.
    const batch = changed.map(([axis, intervals]) => ({ parallelAxisId: parallelAxisId(axis), intervals }));
    if (batch.length) chart.current?.dispatchAction({ type: "axisAreaSelect", batch }, { silent: true });
  }, [brushes, option]);
}

/** Lines are cut off where the plane of the axes ends. */
function insetOf(option: ChartOption | ParallelOption): CSSProperties | undefined {
  if (isParallel(option)) return undefined;
  const { top, right, bottom, left } = option.grid as Record<"top" | "right" | "bottom" | "left", number>;
  return { clipPath: `inset(${top}px ${right}px ${bottom}px ${left}px)` };
}
