/** How each job is told from the others: by its colour, and by its mark and its dashes. */
import type { Theme } from "./theme";

export interface Look {
  color: string;
  symbol: "circle" | "diamond" | "triangle" | "rect";
  dashes: "solid" | "dashed" | "dotted";
}

/** More cannot be told apart. */
export const MOST = 8;

const SYMBOLS = ["circle", "diamond", "triangle", "rect"] as const;

export function lookOf(index: number, theme: Theme): Look {
  const colors = [theme.front, theme.reference, theme.second, theme.text];
  const round = Math.floor(index / colors.length);
  return {
    color: colors[index % colors.length] as string,
    symbol: SYMBOLS[(index + round) % SYMBOLS.length] as Look["symbol"],
    dashes: (["solid", "dashed", "dotted"] as const)[(index + round) % 3] as Look["dashes"],
  };
}
