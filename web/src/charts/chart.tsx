/** An ECharts canvas as a component. What it shows is also said in `label`, for those who cannot see it. */
import { useEffect, useRef } from "react";
import { type ChartOption, init } from "./echarts";

/**
 * Draw `option` in place of what was drawn. Axes are replaced, not merged: ticks placed by hand would else stay on a
 * scale that has none of its own, and vanish from it.
 */
export function show(chart: ReturnType<typeof init>, option: ChartOption): void {
  chart.setOption(option, { replaceMerge: ["series", "xAxis", "yAxis"], lazyUpdate: true });
}

interface Props {
  option: ChartOption;
  label: string;
  className: string;
  /** Called with the value array of a clicked point. */
  onPick?: (value: readonly number[]) => void;
}

export function Chart({ option, label, className, onPick }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<ReturnType<typeof init> | null>(null);
  const pick = useRef(onPick);
  useEffect(() => {
    pick.current = onPick;
  });

  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const instance = init(element, null, { renderer: "canvas" });
    chart.current = instance;
    instance.on("click", ({ value }) => {
      if (Array.isArray(value)) pick.current?.(value as number[]);
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

  return <div ref={holder} className={className} role="img" aria-label={label} />;
}
