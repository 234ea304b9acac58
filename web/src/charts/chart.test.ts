import { SVGRenderer } from "echarts/renderers";
import { use } from "echarts/core";
import { describe, expect, it } from "vitest";
import { changedBrushes, show } from "./chart";
import { init } from "./echarts";
import { frame } from "./frame";
import { fitScale, type Scale } from "./scale";
import type { Theme } from "./theme";

use([SVGRenderer]);

const theme = { font: "sans-serif", text: "#000", muted: "#444", line: "#ccc", faint: "#eee" } as unknown as Theme;

/** What stands at the ticks of a chart that has shown these scales across, one after another. */
function labels(...scales: Scale[]): string[] {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 600, height: 400 });
  const up = fitScale([0, 1]);
  for (const x of scales) {
    show(chart, { ...frame(theme, { name: "x", scale: x }, { name: "y", scale: up }), series: [] });
    chart.resize(); // draws what waits for the next frame
  }
  const texts = [...chart.renderToSVGString().matchAll(/<text[^>]*>([^<]+)<\/text>/g)].map(
    ([, text]) => text as string,
  );
  chart.dispose();
  return texts;
}

describe("show", () => {
  const decades = fitScale([0, 100, 90_000]);
  const linear = fitScale([0.61, 0.64, 0.7]);

  it("draws the ticks of an axis the same, whatever the axis showed before", () => {
    expect(labels(decades, linear)).toEqual(labels(linear));
    expect(labels(linear, decades)).toEqual(labels(decades));
    expect(labels(linear).filter((label) => /^0\.6\d?$/.test(label)).length).toBeGreaterThan(0);
  });
});

describe("changedBrushes", () => {
  it("are those that the chart does not show yet: nothing for what nobody brushed", () => {
    expect(changedBrushes(new Map(), [[], [], []])).toEqual([]);
    expect(changedBrushes(new Map(), [[], [[1, 2]]])).toEqual([[1, [[1, 2]]]]);
    expect(changedBrushes(new Map([[1, [[1, 2]]]]), [[], [[1, 2]]])).toEqual([]);
    expect(changedBrushes(new Map([[1, [[1, 2]]]]), [[], []])).toEqual([[1, []]]);
  });
});
