import { expect, test } from "vitest";
import { engineRemark } from "./engine";

test("a trial says why it was not on the fast engine", () => {
  expect(engineRemark({ engine_reason: "the job asks for it" })).toBe("the job asks for it");
});

test("a trial says with whom it was packed, and nothing when it trained alone", () => {
  expect(engineRemark({ engine_reason: null }, { packed_with: "j-1, j-2" })).toBe("packed with j-1, j-2");
  expect(engineRemark({ engine_reason: null })).toBeNull();
});
