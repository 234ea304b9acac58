import { expect, it } from "vitest";
import type { Report } from "../api/types";
import { fitScale } from "../charts/scale";
import type { Theme } from "../charts/theme";
import { courses, line } from "./curve-line";

it("places a curve where its axis has the values, also on a logarithmic one", () => {
  const report = { step: 1, epoch: 1, seconds: 1, attempt: 1, created_at: "", metrics: { loss: 0.001 } } as Report;
  const scale = fitScale([0.001, 1]);
  expect(scale.kind).toBe("log");
  expect(line("loss", 0, [report], true, scale, {} as Theme).data).toEqual([[1, -3]]);
});

it("goes on where a further attempt went on, and begins anew where it did not", () => {
  const report = (attempt: number, epoch: number) => ({ attempt, epoch, metrics: {} }) as Report;
  const shape = (...reports: Report[]) =>
    courses(reports).map((one) => one.map(({ attempt, epoch }) => [attempt, epoch]));
  expect(shape(report(1, 1), report(2, 2), report(3, 3))).toEqual([
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  ]);
  expect(shape(report(1, 1), report(1, 2), report(2, 1))).toEqual([
    [
      [1, 1],
      [1, 2],
    ],
    [[2, 1]],
  ]);
  expect(shape(report(1, 1), report(1, 2), report(2, 2)).at(-1)).toEqual([
    [1, 1],
    [2, 2],
  ]);
});
