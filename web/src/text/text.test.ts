import { describe, expect, it } from "vitest";
import { configLine, knobs } from "./config";
import { bytes, compact, metricValue, short, tick } from "./numbers";
import { age, duration, timeLeft } from "./time";
import { parse } from "yaml";
import { toYaml } from "./yaml";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [2e-4, "2e-4"],
    [2.5e-5, "2.5e-5"],
    [0.67142, "0.6714"],
    [12.34567, "12.35"],
    [123456, "123,456"],
  ])("shortens %d to %s", (value, text) => expect(short(value)).toBe(text));
  it.each([
    [0, "0"],
    [950, "950"],
    [12_300, "12.3k"],
    [1_500_000, "1.5M"],
    [-2000, "-2k"],
  ])("writes %d on an axis as %s", (value, text) => expect(compact(value)).toBe(text));
  it.each([
    [12, "12 B"],
    [148_200, "148 kB"],
    [3_210_000, "3.21 MB"],
  ])("writes %d bytes as %s", (value, text) => expect(bytes(value)).toBe(text));
  it.each([
    [0.55, 0.2, "0.55"],
    [1.376, 0.008, "1.376"],
    [40_000, 100_000, "40k"],
    [41_200, 3000, "41.2k"],
    [41_203, 8, "41203"],
    [0, 1, "0"],
    [-2, 10, "-2"],
  ])("writes the tick %d on an axis of span %d as %s", (value, span, text) => expect(tick(value, span)).toBe(text));
  it("writes metrics in their unit", () => {
    expect(metricValue(73728, "parameters")).toBe("73,728");
    expect(metricValue(2.71, "milliseconds")).toBe("2.71 ms");
    expect(metricValue(0.66)).toBe("0.6600");
    expect(metricValue(12.3456, "MiB")).toBe("12.35 MiB");
    expect(metricValue(0.5, "nats")).toBe("0.5000");
    expect(metricValue(2048, "bytes")).toBe("2.05 kB");
    expect(metricValue(undefined, "seconds")).toBe("–");
    expect(metricValue(Number.NaN)).toBe("not finite");
  });
});

describe("time", () => {
  it.each([
    [0.4, "0 s"],
    [59, "59 s"],
    [61, "1 min 1 s"],
    [600, "10 min"],
    [3600, "1 h"],
    [5000, "1 h 23 min"],
    [90000, "1 d 1 h"],
  ])("says %d s as %s", (seconds, text) => expect(duration(seconds)).toBe(text));
  it("rounds estimates and ages", () => {
    expect(timeLeft(3)).toBe("a few seconds left");
    expect(timeLeft(42)).toBe("about 50 s left");
    expect(timeLeft(190)).toBe("about 4 min left");
    const now = Date.parse("2026-01-01T12:00:00Z");
    expect(age("2026-01-01T11:59:58Z", now)).toBe("just now");
    expect(age("2026-01-01T11:56:10Z", now)).toBe("3 min ago");
  });
});

describe("configuration", () => {
  it("drops the method's prefix and switches that are off, and shortens names", () => {
    expect(configLine({ method: "lora", "lora.rank": 8, learning_rate: 2e-4, use_dora: false, use_rslora: true })).toBe(
      "lora rank=8 lr=2e-4 rslora",
    );
  });
  it("draws numbered switches as one pattern", () => {
    const config = { method: "autopeft", layer_0: true, layer_1: false, layer_2: true, serial_size: 0 };
    expect(knobs(config)).toEqual([
      { name: "layers", value: "●○●" },
      { name: "serial_size", value: "0" },
    ]);
  });
});

describe("toYaml", () => {
  it("writes nested specs in block style", () => {
    const spec = {
      name: "a job",
      space: { preset: "lora" },
      objectives: [{ metric: "accuracy", direction: "maximize" }],
      task: { model: "builtin:minilm", rows: 3, deep: { a: [1, 2], b: null, c: "yes" } },
      text: "12",
      empty: {},
    };
    expect(toYaml(spec)).toBe(
      "name: a job\nspace: {preset: lora}\nobjectives:\n  - {metric: accuracy, direction: maximize}\n" +
        'task:\n  model: builtin:minilm\n  rows: 3\n  deep:\n    a: [1, 2]\n    b: null\n    c: "yes"\ntext: "12"\nempty: {}\n',
    );
  });
  it.each([
    "sweep: lora",
    "- a",
    "# none",
    "yes",
    "007",
    "08:30",
    "1e3",
    "null",
    "~",
    "a: ",
    "two\nlines",
    "*x",
    "",
    " a",
    "{}",
  ])("keeps the text %j a text", (text) => {
    const spec = { name: text, list: [text, [text]], [text]: { deep: { [text]: 1, other: [], more: {} } } };
    expect(parse(toYaml(spec), { version: "1.1" })).toEqual(spec);
  });
  it("starts a list item's mapping on the dash's line", () => {
    expect(toYaml({ list: [{ a: 1, b: 2, c: 3 }] })).toBe("list:\n  - a: 1\n    b: 2\n    c: 3\n");
  });
});
