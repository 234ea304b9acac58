/** Points of trials: a symbol for each, or a picture where there are many. */
import { type Cloud, cloudOf, cloudSeries, LARGE } from "./cloud";
import type { CustomSeriesOption, ScatterSeriesOption } from "./echarts";

export interface PointLook {
  color: string;
  opacity: number;
  /** Squares without a filling in place of discs. */
  hollow?: boolean;
  /** Pixels across; of a picture they are smaller. */
  size?: number;
  z: number;
}

/** The series, and the points of it that are a picture. Each point is x, y and the number of its trial. */
export function points(
  id: string,
  spots: readonly (readonly [x: number, y: number, number: number])[],
  look: PointLook,
): { series: ScatterSeriesOption | CustomSeriesOption; clouds: Cloud[] } {
  const { color, opacity, hollow, size = 7, z } = look;
  if (spots.length > LARGE) {
    const cloud = cloudOf(spots);
    return { series: cloudSeries(id, cloud, { ...look, size: 4, opacity: opacity / 2 }), clouds: [cloud] };
  }
  const shape = hollow
    ? {
        symbol: "rect",
        symbolSize: size - 1,
        itemStyle: { color: "transparent", borderColor: color, borderWidth: 1, opacity },
      }
    : { symbolSize: size, itemStyle: { color, opacity } };
  return {
    series: { id, type: "scatter", data: spots.map((spot) => [...spot]), z, progressive: 0, ...shape },
    clouds: [],
  };
}
