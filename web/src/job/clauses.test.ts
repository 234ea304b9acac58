import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { type Clause, clauseText, meets, parseClause, parseClauses, withClauses } from "./clauses";

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
  ])("%s holds", (text) => expect(meets(trial, parseClauses([text]))).toBe(true));
  it.each(["rank<=7", "method==ia3", "loss<=1", "nothing>=0", "method>=1", "rank==(none)"])("%s does not", (text) =>
    expect(meets(trial, parseClauses([text]))).toBe(false),
  );
  it("are written as they are read", () => {
    for (const text of ["rank<=8", "method==lora|ia3"]) expect(clauseText(parseClause(text) as Clause)).toBe(text);
  });
  it.each(["", "rank", "rank<=", "rank<=many", "<=3"])("%j is none", (text) => expect(parseClause(text)).toBeNull());
  it("on one name are replaced together", () => {
    const before = parseClauses(["rank<=8", "rank>=2", "accuracy>=0.5"]);
    expect(withClauses(before, "rank", parseClauses(["rank>=4"])).map(clauseText)).toEqual([
      "accuracy>=0.5",
      "rank>=4",
    ]);
  });
});
