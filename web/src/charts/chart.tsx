/** An ECharts canvas as a component. What it shows is also said in `label`, for those who cannot see it. */
import { useEffect, useRef } from "react";
import { type ChartOption, init, type ParallelOption } from "./echarts";

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

interface Props {
  option: ChartOption | ParallelOption;
  label: string;
  className: string;
  /** Called with the value array of a clicked point. */
  onPick?: (value: readonly number[]) => void;
  /** What is brushed on each parallel axis, in positions; drawn as given, and told by `onBrush` when somebody brushes. */
  brushes?: readonly (readonly Interval[])[];
  onBrush?: (axis: number, intervals: readonly Interval[]) => void;
}

export type Interval = readonly [low: number, high: number];

export function Chart({ option, label, className, onPick, brushes, onBrush }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<ReturnType<typeof init> | null>(null);
  const pick = useRef(onPick);
  const brush = useRef(onBrush);
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
      brush.current?.(Number(parallelAxisId.slice(AXIS.length)), intervals);
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
  }, [option]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new option forgets what was brushed
  useEffect(() => {
    for (const [axis, intervals] of (brushes ?? []).entries()) {
      const area = { type: "axisAreaSelect", parallelAxisId: parallelAxisId(axis), intervals };
      chart.current?.dispatchAction(area, { silent: true });
    }
  }, [brushes, option]);

  return <div ref={holder} className={className} role="img" aria-label={label} />;
}
