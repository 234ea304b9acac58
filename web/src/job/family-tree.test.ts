import { describe, expect, it } from "vitest";
import { ancestry, branches, type Copy, reachedBy } from "./family-tree";

const copy = (number: number, donor: number, epoch: number): Copy => ({ number, donor, epoch, changed: {} });
const copies = [copy(0, 1, 1), copy(2, 0, 2), copy(0, 2, 3)];
const reached = new Map([
  [0, 4],
  [1, 4],
  [2, 2.5],
]);

describe("a family tree", () => {
  it("has a branch for each stretch between copies, as long as the trial has come or gave", () => {
    expect(branches(copies, reached).map(({ number, from, to, donor }) => [number, from, to, donor])).toEqual([
      [0, 0, 1, null],
      [0, 1, 3, 1],
      [0, 3, 4, 2],
      [1, 0, 4, null],
      [2, 0, 2, null],
      [2, 2, 3, 0],
    ]);
  });
  it("knows how far each has come, those that only gave too", () => {
    const all = branches(copies, reached);
    expect([0, 1, 2, 9].map((number) => reachedBy(all, number))).toEqual([4, 4, 3, 0]);
  });
  it("knows whose training is behind a trial's weights", () => {
    const all = branches(copies, reached);
    expect(ancestry(all, 0).map(({ number, from, to }) => [number, from, to])).toEqual([
      [1, 0, 1],
      [0, 1, 2],
      [2, 2, 3],
      [0, 3, 4],
    ]);
    expect(ancestry(all, 1)).toHaveLength(1);
    expect(ancestry(all, 9)).toEqual([]);
  });
});
