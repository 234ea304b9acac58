import { describe, expect, it } from "vitest";
import type { Config, Job, Trial } from "../api/types";
import { sourcesOf, startsOf } from "./refined-from";

const job = { id: "j2", spec: { kind: "refine", adapters: [{ trial: "j1-7" }, { trial: null }] } } as unknown as Job;
const trial = (number: number, label: string, config: Config = {}) => ({ number, label, config }) as Trial;

describe("sourcesOf", () => {
  it("leads from a source to the trial of another job, and from a result to those that it began with", () => {
    expect(sourcesOf(job, trial(0, "source"))).toEqual(["j1-7"]);
    expect(sourcesOf(job, trial(1, "source"))).toEqual([]); // an exported folder
    expect(sourcesOf(job, trial(4, "soup", { "refine.of": "0+2" }))).toEqual(["j2-0", "j2-2"]);
  });
  it("knows nothing of trials of a search", () => {
    const search = { id: "j3", spec: { kind: "search" } } as unknown as Job;
    expect(sourcesOf(search, trial(0, "source"))).toEqual([]);
    expect(startsOf(search)).toEqual([]);
  });
});
