import { describe, expect, it } from "vitest";
import { grid } from "./layer-map";

describe("the grid of a layer map", () => {
  it("has layers down, modules across, and what is beside the layers last", () => {
    const { modules, rows, most } = grid([
      { layer: null, module: "classifier", numbers: 72 },
      { layer: 10, module: "query", numbers: 192 },
      { layer: 2, module: "query", numbers: 48 },
      { layer: 2, module: "value", numbers: 24 },
    ]);
    expect(modules).toEqual(["classifier", "query", "value"]);
    expect(rows).toEqual([
      { name: "layer 2", cells: [0, 48, 24] },
      { name: "layer 10", cells: [0, 192, 0] },
      { name: "beside", cells: [72, 0, 0] },
    ]);
    expect(most).toBe(192);
  });
});
