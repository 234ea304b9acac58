/** The design tokens of `styles/tokens.css`, for canvas. Read again when the system turns dark or light. */
import { useMemo, useSyncExternalStore } from "react";

export interface Theme {
  text: string;
  muted: string;
  faint: string;
  line: string;
  surface: string;
  front: string;
  reference: string;
  point: string;
  second: string;
  rampLow: string;
  rampMiddle: string;
  rampHigh: string;
  failed: string;
  running: string;
  stopped: string;
  font: string;
}

const tokens: Record<keyof Theme, string> = {
  text: "--text",
  muted: "--text-muted",
  faint: "--line-soft",
  line: "--line",
  surface: "--surface",
  front: "--front",
  reference: "--reference",
  point: "--point",
  second: "--second",
  rampLow: "--ramp-low",
  rampMiddle: "--ramp-middle",
  rampHigh: "--ramp-high",
  failed: "--failed",
  running: "--running",
  stopped: "--stopped",
  font: "--font",
};

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export function useTheme(): Theme {
  const isDark = useSyncExternalStore(subscribe, () => dark.matches);
  return useMemo(() => readTheme(isDark), [isDark]);
}

function subscribe(changed: () => void): () => void {
  dark.addEventListener("change", changed);
  return () => dark.removeEventListener("change", changed);
}

/** `_isDark` only names the cause of reading again. */
function readTheme(_isDark: boolean): Theme {
  const style = getComputedStyle(document.documentElement);
  const read = ([name, token]: [string, string]) => [name, style.getPropertyValue(token).trim()];
  return Object.fromEntries(Object.entries(tokens).map(read)) as unknown as Theme;
}
