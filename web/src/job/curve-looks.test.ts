import { describe, expect, it } from "vitest";
import type { Config, Trial } from "../api/types";
import type { Theme } from "../charts/theme";
import { BY_RUNG, curveLooks, rungsOf, type ShownCurve } from "./curve-looks";

const theme = { point: "#000001", rampLow: "#000000", rampMiddle: "#808080", rampHigh: "#ffffff" } as Theme;
const curve = (number: number, last: number, state: Trial["state"], config: Config = {}): ShownCurve =>
  ({ number, epochs: [0, last], values: [0, 1], trial: { number, state, config } as Trial }) as ShownCurve;

const curves = [
  curve(0, 1, "stopped", { rank: 2, method: "lora" }),
  curve(1, 3, "stopped", { rank: 8, method: "lora" }),
  curve(2, 9, "completed", { rank: 32, method: "ia3" }),
  curve(3, 4, "running", { method: "ia3" }),
];

describe("rungs", () => {
  it("are where trials ended; a running one stands on the last that it passed", () => {
    expect(rungsOf(curves)).toEqual([1, 3, 9]);
    const { of, legend } = curveLooks(BY_RUNG, curves, new Set(), theme);
    expect(legend.map(({ text }) => text)).toEqual(["1 epochs", "3 epochs", "9 epochs"]);
    expect(of(curves[3] as ShownCurve).color).toBe(of(curves[1] as ShownCurve).color);
  });
});

describe("parameters", () => {
  it("that are numbers go up the ramp and get thicker; who has none is told apart", () => {
    const { of, legend } = curveLooks("rank", curves, new Set(), theme);
    const looks = curves.map(of);
    expect(looks.map(({ color }) => color)).toEqual(["#000000", "#808080", "#ffffff", "#000001"]);
    expect((looks[2]?.width ?? 0) > (looks[0]?.width ?? 0)).toBe(true);
    expect(legend.map(({ text }) => text)).toEqual(["2", "8", "32", "none"]);
  });
  it("that are words differ in colour or dashes", () => {
    const { of } = curveLooks("method", curves, new Set(), { ...theme, front: "a", reference: "b" } as Theme);
    const [lora, , ia3] = curves.map(of);
    expect([lora?.color, lora?.dashes]).not.toEqual([ia3?.color, ia3?.dashes]);
  });
});
