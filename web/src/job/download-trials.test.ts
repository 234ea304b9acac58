import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { toCsv, toRows } from "./download-trials";

const trial = (number: number, config: Trial["config"], metrics: Trial["metrics"]) =>
  ({
    number,
    id: `j-${number}`,
    state: "completed",
    origin: "optimizer",
    label: null,
    tags: ["a", "b"],
    note: null,
    config,
    metrics,
  }) as unknown as Trial;

describe("trials as CSV", () => {
  it("have every column that any of them has", () => {
    const rows = toRows([
      trial(0, { method: "lora", rank: 8 }, { accuracy: 0.5 }),
      trial(1, { method: "ia3" }, { loss: null }),
    ]);
    expect(toCsv(rows)).toBe(
      "number,id,state,origin,label,tags,note,accuracy,method,rank,loss\r\n" +
        '0,j-0,completed,optimizer,,"a, b",,0.5,lora,8,\r\n1,j-1,completed,optimizer,,"a, b",,,ia3,,\r\n',
    );
  });
  it("keep texts with commas, quotes and formulas texts", () => {
    const [row] = toRows([trial(0, { a: 'say "x", y', b: "=1+1", c: [1, 2], number: 7 }, {})]);
    expect(toCsv([row ?? {}]).split("\r\n")[1]).toBe(
      `0,j-0,completed,optimizer,,"a, b",,"say ""x"", y",'=1+1,"[1,2]",7`,
    );
    expect(Object.keys(row ?? {})).toContain("config.number");
  });
});
