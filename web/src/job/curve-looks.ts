/** How learning curves are told apart: by the state of their trial, by the rung that it reached, or by a parameter. */
import type { Curves, Trial } from "../api/types";
import type { LineSeriesOption } from "../charts/echarts";
import { lookOf, MOST } from "../charts/looks";
import { rampColor } from "../charts/ramp";
import { fitScale } from "../charts/scale";
import type { Theme } from "../charts/theme";
import { configValue } from "../text/config";
import { short } from "../text/numbers";

/** A learning curve with its trial. */
export type ShownCurve = Curves["items"][number] & { trial: Trial };

export const BY_STATE = "state";
export const BY_RUNG = "rung";

/** A line's look; `z`: which one lies above which. */
export interface CurveLook {
  color: string;
  width: number;
  dashes: "solid" | "dashed" | "dotted";
  z: number;
}

export interface CurveLooks {
  of: (curve: ShownCurve) => CurveLook;
  /** What stands for what; empty where the states' own legend does. */
  legend: { text: string; look: CurveLook }[];
}

export const styled = (look: CurveLook): Pick<LineSeriesOption, "lineStyle" | "itemStyle" | "z"> => ({
  z: look.z,
  itemStyle: { color: look.color },
  lineStyle: { color: look.color, width: look.width, type: look.dashes },
});

export function curveLooks(
  by: string,
  curves: readonly ShownCurve[],
  front: ReadonlySet<string>,
  theme: Theme,
): CurveLooks {
  if (by === BY_STATE) return { of: ({ trial }) => stateLook(trial, front.has(trial.id), theme), legend: [] };
  if (by === BY_RUNG) {
    const levels = rungsOf(curves);
    const rung = (curve: ShownCurve) => levels.findLast((level) => level <= reached(curve) + 1e-9) ?? 0;
    return ordered(
      curves,
      rung,
      levels,
      (level) => (level === 0 ? "below the first" : `${short(level)} epochs`),
      theme,
    );
  }
  const values = curves.map(({ trial }) => trial.config[by]).filter((value) => value !== undefined && value !== null);
  if (values.length > 0 && values.every((value) => typeof value === "number")) {
    const numbers = [...new Set(values)].sort((a, b) => a - b);
    const number = ({ trial }: ShownCurve) => {
      const value = trial.config[by];
      return typeof value === "number" ? value : null;
    };
    return ordered(curves, number, numbers, short, theme);
  }
  return named(curves, by, theme);
}

/** The epochs at which trials ended or were stopped: the rungs of a scheduler that has any, least first. */
export function rungsOf(curves: readonly ShownCurve[]): number[] {
  const ended = curves.filter(({ trial }) => trial.state !== "running").map(reached);
  return [...new Set(ended.map((epoch) => Number(epoch.toPrecision(6))))].sort((a, b) => a - b);
}

const reached = ({ epochs }: ShownCurve): number => epochs.at(-1) ?? 0;

/** Legend entries of a quantity at most. */
const SHOWN = 6;

/** The more, the further up the ramp and the thicker. */
function ordered(
  curves: readonly ShownCurve[],
  quantity: (curve: ShownCurve) => number | null,
  levels: readonly number[],
  text: (value: number) => string,
  theme: Theme,
): CurveLooks {
  const scale = fitScale(levels);
  const [low, high] = [levels[0] ?? 0, levels.at(-1) ?? 1].map(scale.toAxis) as [number, number];
  const look = (value: number | null): CurveLook => {
    if (value === null) return { color: theme.point, width: 1, dashes: "dotted", z: 1 };
    const share = high > low ? (scale.toAxis(value) - low) / (high - low) : 1;
    return { color: rampColor(share, theme), width: 1 + 1.25 * share, dashes: "solid", z: 2 + share };
  };
  const step = Math.max(1, (levels.length - 1) / (SHOWN - 1));
  const count = Math.min(SHOWN, levels.length);
  const shown = Array.from({ length: count }, (_, at) => levels[Math.round(at * step)] as number);
  const legend = shown.map((value) => ({ text: text(value), look: look(value) }));
  if (curves.some((curve) => quantity(curve) === null)) legend.push({ text: "none", look: look(null) });
  return { of: (curve) => look(quantity(curve)), legend };
}

/** By colour and dashes; words beyond those that can be told apart are one. */
function named(curves: readonly ShownCurve[], by: string, theme: Theme): CurveLooks {
  const word = ({ trial }: ShownCurve) => {
    const value = trial.config[by];
    return value === undefined ? "none" : configValue(value);
  };
  const words = [...new Set(curves.map(word))].sort();
  const others: CurveLook = { color: theme.point, width: 1, dashes: "dotted", z: 1 };
  const look = (text: string): CurveLook => {
    const at = words.indexOf(text);
    if (at < 0 || at >= MOST) return others;
    const { color, dashes } = lookOf(at, theme);
    return { color, dashes, width: 1.5, z: 2 };
  };
  const legend = words.slice(0, MOST).map((text) => ({ text, look: look(text) }));
  if (words.length > MOST) legend.push({ text: `${words.length - MOST} others`, look: others });
  return { of: (curve) => look(word(curve)), legend };
}

function stateLook(trial: Trial, onFront: boolean, theme: Theme): CurveLook {
  if (onFront) return { color: theme.front, width: 1.75, dashes: "solid", z: 4 };
  if (trial.state === "running") return { color: theme.second, width: 1.75, dashes: "solid", z: 3 };
  return { color: theme.point, width: 1, dashes: trial.state === "completed" ? "solid" : "dashed", z: 1 };
}
