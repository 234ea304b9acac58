import { describe, expect, it } from "vitest";
import { sectionsAround } from "./completion";
import { readJob, scalar, writeJob } from "./job-document";
import { asked } from "./schema";

const text = "# why\nname: x\nbudget: {trials: 4} # few\nobjectives:\n  - {metric: loss, direction: minimize}\n";

describe("writeJob", () => {
  it("changes one value and leaves comments and the rest", () => {
    const changed = writeJob(text, ["budget", "trials"], 8);
    expect(changed).toBe(text.replace("4", "8"));
  });

  it("makes the sections on the way, also in place of nothing and of a word", () => {
    expect(readJob(writeJob("name: x\noptimizer:\n", ["optimizer", "options", "initial"], 3))).toEqual({
      name: "x",
      optimizer: { options: { initial: 3 } },
    });
    expect(readJob(writeJob("", ["constraints", 0], { metric: "loss", max: 1 }))).toEqual({
      constraints: [{ metric: "loss", max: 1 }],
    });
  });

  it("takes a field away with the sections that it leaves empty", () => {
    expect(readJob(writeJob(text, ["budget", "trials"], undefined))).not.toHaveProperty("budget");
    expect(readJob(writeJob("a: 1\n", ["nothing", "here"], undefined))).toEqual({ a: 1 });
  });
});

it("reads nothing of what is no mapping", () => {
  expect(readJob("- a")).toBeNull();
  expect(readJob("a: [")).toBeNull();
});

it("reads a value as YAML does", () => {
  expect([scalar("0.5"), scalar("lora"), scalar(" "), scalar("[1, 2]"), scalar("[1,")]).toEqual([
    0.5,
    "lora",
    undefined,
    [1, 2],
    "[1,",
  ]);
});

it("asks for a field as its schema wants it", () => {
  const kinds = [
    { enum: ["a", "b"] },
    { anyOf: [{ const: "auto" }, { type: "integer", minimum: 1 }] },
    { anyOf: [{ type: "number" }, { type: "null" }] },
    { type: "boolean" },
    { anyOf: [{ type: "string" }, { type: "number" }, { type: "null" }] },
    { type: "array" },
  ].map((schema) => asked(schema, {}).kind);
  expect(kinds).toEqual(["choice", "text", "number", "switch", "text", "yaml"]);
});

it("knows the sections around a line", () => {
  const lines = ["name: x", "task:", "  model: y", "  nested:", "    deep: 1", "  here"];
  expect(sectionsAround(lines, 4)).toEqual(["task", "nested"]);
  expect(sectionsAround(lines, 5)).toEqual(["task"]);
  expect(sectionsAround(lines, 1)).toEqual([]);
});
