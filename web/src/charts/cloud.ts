/**
 * Tens of thousands of points as one picture. A series of ECharts lays each of them out anew in every frame of a zoom;
 * a picture costs what its pixels cost, and darkens where points lie upon each other.
 */
import type { CustomSeriesOption, ScatterSeriesOption } from "./echarts";
import type { Theme } from "./theme";

/** x, y and a number to know it by of each point, one after another: positions on the axes. */
export type Cloud = Float64Array;
export const STRIDE = 3;

/** Above this many points a chart draws a picture of them in place of a symbol for each. */
export const LARGE = 2000;

export const cloudOf = (spots: readonly (readonly [x: number, y: number, number: number])[]): Cloud => {
  const cloud = new Float64Array(STRIDE * spots.length);
  for (const [at, spot] of spots.entries()) cloud.set(spot, STRIDE * at);
  return cloud;
};

export interface Look {
  color: string;
  /** Of a single point. */
  opacity: number;
  /** Pixels across. */
  size: number;
  /** Only the border of a square; else a disc. */
  hollow?: boolean;
  z: number;
}

/** A window onto the axes, in pixels: its size, and where a position of zero lies and how far a step of one goes. */
export interface Window {
  width: number;
  height: number;
  x0: number;
  y0: number;
  perX: number;
  perY: number;
}

/** The pixels of a symbol around its middle. */
export function stamp(size: number, hollow: boolean): [right: number, down: number][] {
  const reach = Math.floor(size / 2);
  const pixels: [number, number][] = [];
  for (let down = -reach; down <= reach; down += 1)
    for (let right = -reach; right <= reach; right += 1) {
      const isOn = hollow
        ? Math.max(Math.abs(right), Math.abs(down)) === reach
        : right * right + down * down <= (size * size) / 4 + 0.5;
      if (isOn) pixels.push([right, down]);
    }
  return pixels;
}

/** How often the symbols of a cloud cover each pixel of a window, row by row, 255 at most. */
export function covered(
  cloud: Cloud,
  { width, height, x0, y0, perX, perY }: Window,
  pixels: readonly (readonly [number, number])[],
): Uint8ClampedArray {
  const counts = new Uint8ClampedArray(width * height);
  for (let at = 0; at < cloud.length; at += STRIDE) {
    const x = Math.round(x0 + perX * (cloud[at] as number));
    const y = Math.round(y0 + perY * (cloud[at + 1] as number));
    if (x < -16 || y < -16 || x > width + 16 || y > height + 16) continue;
    for (const [right, down] of pixels) {
      const [column, row] = [x + right, y + down];
      if (column >= 0 && row >= 0 && column < width && row < height) (counts[row * width + column] as number) += 1;
    }
  }
  return counts;
}

/** The point nearest to a pixel, as `[x, y, number]`, of those at most `within` pixels away; null without any. */
export function nearest(
  clouds: readonly Cloud[],
  { x0, y0, perX, perY }: Window,
  [left, top]: readonly [number, number],
  within: number,
): [number, number, number] | null {
  let closest = within * within;
  let found: [number, number, number] | null = null;
  for (const cloud of clouds)
    for (let at = 0; at < cloud.length; at += STRIDE) {
      const right = x0 + perX * (cloud[at] as number) - left;
      const down = y0 + perY * (cloud[at + 1] as number) - top;
      const distance = right * right + down * down;
      if (distance > closest) continue;
      closest = distance;
      found = [cloud[at] as number, cloud[at + 1] as number, cloud[at + 2] as number];
    }
  return found;
}

export function cloudSeries(id: string, cloud: Cloud, look: Look): CustomSeriesOption {
  const picture = new Picture(cloud, look);
  return {
    id,
    type: "custom",
    coordinateSystem: "cartesian2d",
    silent: true,
    z: look.z,
    data: [[0, 0]],
    renderItem: ({ coordSys }, { coord }) => {
      const { x, y, width, height } = coordSys as unknown as { x: number; y: number; width: number; height: number };
      const [[left = 0, top = 0], [right = 0, up = 0]] = [coord([0, 0]), coord([1, 1])];
      const [perX, perY] = [right - left, up - top];
      const image = picture.through({ width, height, x0: left - x, y0: top - y, perX, perY });
      return { type: "image", style: { image, x, y, width, height } };
    },
  };
}

/** Painted anew only when it is seen through another window. */
class Picture {
  private readonly canvas = document.createElement("canvas");
  private seen = "";

  constructor(
    private readonly cloud: Cloud,
    private readonly look: Look,
  ) {}

  /** The canvas for a window in pixels of the style sheet. */
  through(window: Window): HTMLCanvasElement {
    const ratio = globalThis.devicePixelRatio || 1;
    const key = [...Object.values(window), ratio].join(" ");
    if (key === this.seen) return this.canvas;
    this.seen = key;
    const { width, height } = window;
    this.paint(
      {
        width: Math.max(1, Math.round(width * ratio)),
        height: Math.max(1, Math.round(height * ratio)),
        x0: window.x0 * ratio,
        y0: window.y0 * ratio,
        perX: window.perX * ratio,
        perY: window.perY * ratio,
      },
      this.look.size * ratio,
    );
    return this.canvas;
  }

  private paint(window: Window, size: number): void {
    const { canvas, cloud, look } = this;
    const { width, height } = window;
    canvas.width = width;
    canvas.height = height;
    // Kept in memory: it is written anew in every frame of a zoom.
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return;
    const counts = covered(cloud, window, stamp(size, look.hollow ?? false));
    const alpha = Uint8ClampedArray.from({ length: 256 }, (_, times) => 255 * (1 - (1 - look.opacity) ** times));
    const image = context.createImageData(width, height);
    for (let at = 0; at < counts.length; at += 1) image.data[4 * at + 3] = alpha[counts[at] as number] as number;
    context.putImageData(image, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = look.color;
    context.fillRect(0, 0, width, height);
  }
}

/** The id of the series that marks the point of a cloud under the pointer; without one it is empty. */
export const NEAR = "near";

export const nearSeries = (theme: Theme): ScatterSeriesOption => ({
  id: NEAR,
  type: "scatter",
  data: [],
  symbolSize: 9,
  z: 2,
  itemStyle: { color: theme.point, borderColor: theme.surface, borderWidth: 1.5 },
});
