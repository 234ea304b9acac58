import { describe, expect, it } from "vitest";
import css from "./tokens.css?raw";

/** Relative luminance and contrast after WCAG 2.2. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

const colours = (part: string) =>
  new Map([...part.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, hex]) => [name, hex] as const));
const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");
const words = [
  "text",
  "text-muted",
  "accent",
  "front",
  "reference",
  "running",
  "completed",
  "stopped",
  "failed",
  "paused",
  "queued",
];

describe.each([
  ["light", colours(light)],
  ["dark", colours(dark)],
])("%s", (_, tokens) => {
  const of = (name: string) => tokens.get(name) ?? "";
  it.each(
    words.flatMap((word) => [
      [word, "surface"],
      [word, "ground"],
    ]),
  )("%s can be read on %s", (word = "", ground = "") => {
    expect(contrast(of(word), of(ground))).toBeGreaterThanOrEqual(4.5);
  });
  it.each([
    ["front", "accent-soft"],
    ["reference", "reference-soft"],
    ["on-accent", "accent"],
    ["text-muted", "surface-raised"],
  ])("%s can be read on %s", (word, ground) => expect(contrast(of(word), of(ground))).toBeGreaterThanOrEqual(4.5));
  it.each(["ramp-low", "ramp-middle", "ramp-high"])("lines in %s can be told from the ground", (name) =>
    expect(contrast(of(name), of("surface"))).toBeGreaterThanOrEqual(3),
  );
  it("a ramp goes one way: who sees no colours sees which end is which", () => {
    const [low = 0, middle = 0, high = 0] = ["low", "middle", "high"].map((end) =>
      contrast(of(`ramp-${end}`), of("surface")),
    );
    expect(low).toBeLessThan(middle);
    expect(middle).toBeLessThan(high);
  });
  it("points can be told from the ground", () =>
    expect(contrast(of("point"), of("surface"))).toBeGreaterThanOrEqual(2.5));
});
