import { expect, it } from "vitest";
import { bestOfEach } from "./law-tables";

it("keeps of each size the run with the lowest loss, smallest sizes first", () => {
  const run = (parameters: number, tokens: number, learning_rate: number, loss: number) => ({
    parameters,
    tokens,
    learning_rate,
    loss,
  });
  const runs = [
    run(200, 50, 1e-3, 1.2),
    run(100, 900, 1e-3, 1.1),
    run(100, 50, 1e-3, 1.3),
    run(100, 50, 3e-3, 1.0),
    run(100, 50, 1e-2, 1.4),
  ];
  expect(bestOfEach(runs, ["parameters", "tokens"])).toEqual([runs[3], runs[1], runs[0]]);
});
