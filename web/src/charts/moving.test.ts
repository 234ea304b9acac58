import { describe, expect, it } from "vitest";
import { moved, WHOLE, type Window } from "./moving";

const near: Window = { x: { start: 40, end: 60 }, y: { start: 0, end: 20 } };

describe("moved", () => {
  it("comes closer to the middle and goes back", () => {
    expect(moved("+", WHOLE)).toEqual({ x: { start: 10, end: 90 }, y: { start: 10, end: 90 } });
    expect(moved("-", moved("+", WHOLE) as Window)).toEqual(WHOLE);
    expect(moved("0", near)).toEqual(WHOLE);
  });
  it("goes along an axis and stops at its end", () => {
    expect(moved("ArrowRight", near)?.x).toEqual({ start: 43, end: 63 });
    expect(moved("ArrowDown", near)?.y).toEqual({ start: 0, end: 20 });
    expect(moved("ArrowUp", { ...near, y: { start: 79, end: 99 } })?.y).toEqual({ start: 80, end: 100 });
  });
  it("leaves other keys alone", () => expect(moved("Enter", near)).toBeNull());
});
