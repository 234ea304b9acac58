/** Colours for a quantity: one lightness after the other, so that more is told from less without seeing hues. */
import type { Theme } from "./theme";

/** The colour at a share of the way from least to most, as `#rrggbb`. */
export function rampColor(share: number, theme: Theme): string {
  const at = 2 * Math.min(1, Math.max(0, share));
  return at < 1 ? mixed(theme.rampLow, theme.rampMiddle, at) : mixed(theme.rampMiddle, theme.rampHigh, at - 1);
}

const parts = (hex: string): number[] => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

function mixed(from: string, to: string, share: number): string {
  const ends = parts(to);
  const mix = parts(from).map((part, at) => Math.round(part + ((ends[at] ?? part) - part) * share));
  return `#${mix.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}
