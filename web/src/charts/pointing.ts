/** Which point of a cloud is under the pointer: a picture has no symbols that would know. */
import { type RefObject, useEffect } from "react";
import { type Cloud, NEAR, nearest } from "./cloud";
import type { ChartOption, init, ParallelOption } from "./echarts";

/** Pixels from a point at which it is meant. */
const WITHIN = 6;

type Instance = ReturnType<typeof init>;

interface Pointer {
  offsetX: number;
  offsetY: number;
  /** The symbol under it, of a series that has symbols. */
  target?: unknown;
  event: { buttons?: number };
}

/** Mark the point of `clouds` under the pointer, which shows its tooltip and makes it one that can be clicked. */
export function usePointing(
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
      const found = nearest(clouds, windowOf(instance), [offsetX, offsetY], WITHIN);
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

function windowOf(instance: Instance) {
  const [[x0 = 0, y0 = 0], [x1 = 0, y1 = 0]] = [
    [0, 0],
    [1, 1],
  ].map((position) => instance.convertToPixel("grid", position) as number[]) as [number[], number[]];
  return { width: instance.getWidth(), height: instance.getHeight(), x0, y0, perX: x1 - x0, perY: y1 - y0 };
}
