import { describe, expect, it } from "vitest";
import { lineOf } from "./line-of-field";

const text = `name: a
task:
  model: builtin:minilm  # train: not here
  # train: nor here
  train: data.csv
space: {preset: lora}
objectives:
  - {metric: accuracy, direction: maximize}
  - metric: size
    direction: minimize
budget:
  trials: 0
  train: 3
`;

describe("lineOf", () => {
  it.each([
    ["name", 1],
    ["task.train", 5],
    ["task.label", 2],
    ["task.model", 3],
    ["space.preset", 6],
    ["objectives.1.direction", 10],
    ["objectives.1.metric", 9],
    ["objectives.0.metric", 8],
    ["budget.trials", 12],
    ["objectives[1]", 9],
    ["nothing", null],
  ])("finds %s on line %s", (field, line) => expect(lineOf(text, field)).toBe(line));

  it("finds fields that are written inside braces or quotes, and in a text that is not sound YAML", () => {
    expect(lineOf('space:\n  {\n    preset: lora,\n    "overrides": {}\n  }\n', "space.overrides")).toBe(4);
    expect(lineOf("name: a\nbudget:\n  trials: [1\n", "budget.trials")).toBe(3);
    expect(lineOf("a: 'metric: no'\ntask:\n  metric: 1\n", "task.metric")).toBe(3);
  });

  it("finds items that are not indented under their key", () => {
    expect(lineOf("objectives:\n- metric: a\n- metric: b\nseed: 0\n", "objectives.1.metric")).toBe(3);
  });
});
