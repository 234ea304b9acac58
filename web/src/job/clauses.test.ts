import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { type Clause, clauseText, meeting, parseClause, parseClauses, withClauses, withNumbers } from "./clauses";

const trial = {
  number: 3,
  state: "completed",
  origin: "optimizer",
  metrics: { accuracy: 0.7, loss: null },
  config: { method: "lora", rank: 8, use_dora: false },
} as unknown as Trial;

describe("clauses", () => {
  it.each([
    "rank<=8",
    "accuracy>=0.7",
    "method==lora|ia3",
    "use_dora==false",
    "state==completed",
    "number<=3",
    "dropout==(none)",
    "number==3",
    "number==9|1-4",
  ])("%s holds", (text) => expect(meeting(parseClauses([text]))(trial)).toBe(true));
  it.each(["rank<=7", "method==ia3", "loss<=1", "nothing>=0", "method>=1", "rank==(none)", "number==1-2|4-9"])(
    "%s does not",
    (text) => expect(meeting(parseClauses([text]))(trial)).toBe(false),
  );
  it("are written as they are read", () => {
    for (const text of ["rank<=8", "method==lora|ia3"]) expect(clauseText(parseClause(text) as Clause)).toBe(text);
  });
  it.each(["", "rank", "rank<=", "rank<=many", "<=3"])("%j is none", (text) => expect(parseClause(text)).toBeNull());
  it("ask for trials by their numbers, in runs", () => {
    const numbers = new Set([7, 3, 1, 2, 9, 8]);
    const clauses = withNumbers(parseClauses(["rank<=8", "number<=3"]), numbers);
    expect(clauses.map(clauseText)).toEqual(["rank<=8", "number==1-3|7-9"]);
    const meets = meeting(clauses.slice(1));
    const found = Array.from({ length: 12 }, (_, number) => number).filter((number) => meets({ ...trial, number }));
    expect(found).toEqual([1, 2, 3, 7, 8, 9]);
  });
  it("on one name are replaced together", () => {
    const before = parseClauses(["rank<=8", "rank>=2", "accuracy>=0.5"]);
    expect(withClauses(before, "rank", parseClauses(["rank>=4"])).map(clauseText)).toEqual([
      "accuracy>=0.5",
      "rank>=4",
    ]);
  });
});
