/** Which point of a picture, or which line, is under the pointer: neither has symbols that would know. */
import { type RefObject, useEffect, useRef, useState } from "react";
import { type Cloud, NEAR, nearest, type Window as Pixels } from "./cloud";
import { type ChartOption, type init, isParallel, type ParallelOption } from "./echarts";
import type { Window } from "./moving";
import { parallelPixels } from "./parallel";
import { nearestStroke, type Spot, type Stroke } from "./strokes";

/** Pixels from a point or a line at which it is meant. */
const WITHIN = 6;

type Instance = ReturnType<typeof init>;

interface Pointer {
  offsetX: number;
  offsetY: number;
  /** The symbol under it, of a series that has symbols. */
  target?: unknown;
  event: { buttons?: number };
}

interface Pointable {
  option: ChartOption | ParallelOption;
  /** Their points are marked by the series `NEAR`. */
  clouds?: readonly Cloud[] | undefined;
  strokes?: readonly Stroke[] | undefined;
  /** What part of the axes is shown. */
  window: RefObject<Window>;
  onPick?: ((value: readonly number[]) => void) | undefined;
}

/**
 * Mark what is under the pointer: a point of `clouds` becomes one with a tooltip that can be clicked, and of `strokes`
 * the line is returned as `x,y x,y …` in pixels.
 */
export function usePointing(chart: RefObject<Instance | null>, all: Pointable): string | null {
  const { option, clouds, strokes, window, onPick } = all;
  const [line, setLine] = useState<string | null>(null);
  const pick = useRef(onPick);
  useEffect(() => {
    pick.current = onPick;
  });
  useCloudPointing(chart, option, clouds);
  useEffect(() => {
    const instance = chart.current;
    if (!instance || !strokes?.length) return;
    let found: ReturnType<typeof nearestStroke> = null;
    const clear = () => {
      found = null;
      setLine(null);
    };
    const onMove = ({ offsetX, offsetY, target, event }: Pointer) => {
      const pixels = pixelsOf(instance, option, window.current);
      const next = target || event.buttons ? null : nearestStroke(strokes, pixels, [offsetX, offsetY], WITHIN);
      if (next?.stroke !== found?.stroke) setLine(next && drawn(next.stroke, pixels));
      found = next;
      if (!next) return;
      const tooltip = { formatterParams: { value: next.spot } };
      // The chart hides a tooltip where it knows of nothing; it hears of the same move.
      queueMicrotask(() => {
        if (!instance.isDisposed()) instance.dispatchAction({ type: "showTip", x: offsetX, y: offsetY, tooltip });
      });
    };
    const onClick = ({ target }: Pointer) => {
      if (!target && found) pick.current?.(found.spot);
    };
    const surface = instance.getZr();
    const heard = { mousemove: onMove, click: onClick, globalout: clear, mousewheel: clear } as const;
    for (const [name, handler] of Object.entries(heard)) surface.on(name, handler as never);
    return () => {
      setLine(null);
      if (!instance.isDisposed())
        for (const [name, handler] of Object.entries(heard)) surface.off(name, handler as never);
    };
  }, [chart, option, strokes, window]);
  return line;
}

const drawn = (stroke: Stroke, { x0, y0, perX, perY }: Pixels): string =>
  stroke.map(([x, y]: Spot) => `${(x0 + perX * x).toFixed(1)},${(y0 + perY * y).toFixed(1)}`).join(" ");

function useCloudPointing(
  chart: RefObject<Instance | null>,
  option: ChartOption | ParallelOption,
  clouds: readonly Cloud[] | undefined,
): void {
  useEffect(() => {
    const instance = chart.current;
    if (!instance || !clouds?.length) return;
    const seriesIndex = (option.series as { id: string }[]).findIndex(({ id }) => id === NEAR);
    let marked: number | null = null;
    const onMove = ({ offsetX, offsetY, target, event }: Pointer) => {
      if (event.buttons) return; // it drags
      const found = nearest(clouds, gridPixels(instance), [offsetX, offsetY], WITHIN);
      const number = found?.[2] ?? null;
      if (number === marked) return;
      marked = number;
      instance.setOption({ series: [{ id: NEAR, data: found ? [found] : [] }] });
      // A symbol under the pointer has a tooltip of its own.
      if (!target)
        instance.dispatchAction(found ? { type: "showTip", seriesIndex, dataIndex: 0 } : { type: "hideTip" });
    };
    const surface = instance.getZr();
    surface.on("mousemove", onMove as never);
    return () => {
      if (!instance.isDisposed()) surface.off("mousemove", onMove as never);
    };
  }, [chart, option, clouds]);
}

const pixelsOf = (instance: Instance, option: ChartOption | ParallelOption, window: Window): Pixels =>
  isParallel(option) ? parallelPixels(option, window, sizeOf(instance)) : gridPixels(instance);

const sizeOf = (instance: Instance) => ({ width: instance.getWidth(), height: instance.getHeight() });

function gridPixels(instance: Instance): Pixels {
  const [[x0 = 0, y0 = 0], [x1 = 0, y1 = 0]] = [
    [0, 0],
    [1, 1],
  ].map((position) => instance.convertToPixel("grid", position) as number[]) as [number[], number[]];
  return { ...sizeOf(instance), x0, y0, perX: x1 - x0, perY: y1 - y0 };
}
