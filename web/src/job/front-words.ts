/** What the trials that no other beats are called. One objective makes no front: there is a best trial, and that is all. */
import type { Objective } from "../api/types";

export interface FrontWords {
  /** Of the chart. */
  title: string;
  /** Of the column, and of the mark on a trial. */
  mark: string;
  /** Of a trial, in a sentence or on a button. */
  place: string;
  /** Of the others. */
  others: string;
  /** For those who cannot see the chart. */
  count: (size: number) => string;
}

const FRONT: FrontWords = {
  title: "Pareto front",
  mark: "front",
  place: "on the front",
  others: "dominated",
  count: (size) => `${size} on the Pareto front`,
};

const BEST: FrontWords = {
  title: "Trials",
  mark: "best",
  place: "best",
  others: "completed",
  count: (size) => (size ? "the best one marked" : "none completed"),
};

export const frontWords = (objectives: readonly Objective[]): FrontWords => (objectives.length > 1 ? FRONT : BEST);
