import { expect, it } from "vitest";
import type { Report } from "../api/types";
import { fitScale } from "../charts/scale";
import type { Theme } from "../charts/theme";
import { line } from "./curve-line";

it("places a curve where its axis has the values, also on a logarithmic one", () => {
  const report = { step: 1, epoch: 1, seconds: 1, attempt: 1, created_at: "", metrics: { loss: 0.001 } } as Report;
  const scale = fitScale([0.001, 1]);
  expect(scale.kind).toBe("log");
  expect(line("loss", 0, 1, [report], scale, {} as Theme).data).toEqual([[1, -3]]);
});
