/** Grid, axes and tooltip in the look that all charts share. */
import type { ChartOption } from "./echarts";
import { zoomId } from "./moving";
import type { Scale } from "./scale";
import type { Theme } from "./theme";

export interface AxisLook {
  name: string;
  scale: Scale;
}

export function valueAxis(theme: Theme, { name, scale }: AxisLook, vertical: boolean) {
  return {
    type: "value" as const,
    name,
    nameLocation: vertical ? ("end" as const) : ("middle" as const),
    nameGap: vertical ? 12 : 28,
    nameTextStyle: {
      color: theme.muted,
      fontFamily: theme.font,
      fontSize: 12,
      ...(vertical ? { align: "left" as const, padding: [0, 0, 0, -40] } : {}),
    },
    min: scale.min,
    max: scale.max,
    splitNumber: vertical ? 5 : 6,
    axisLine: { show: !vertical, lineStyle: { color: theme.line } },
    // Split lines follow the ticks, shown or not.
    axisTick: { show: false, ...(scale.ticks && { customValues: scale.ticks }) },
    axisLabel: {
      color: theme.muted,
      fontFamily: theme.font,
      fontSize: 11,
      hideOverlap: true,
      formatter: scale.label,
      ...(scale.ticks
        ? { customValues: scale.ticks, showMinLabel: true }
        : { showMinLabel: false, showMaxLabel: false }),
    },
    splitLine: { lineStyle: { color: theme.faint, width: 1 } },
  };
}

/** Ctrl and the wheel zoom, so that the wheel alone scrolls the page; what is dragged moves along. */
const zoom = (["x", "y"] as const).map((axis) => ({
  id: zoomId(axis),
  type: "inside" as const,
  [`${axis}AxisIndex`]: 0,
  filterMode: "none" as const,
  zoomOnMouseWheel: "ctrl" as const,
  moveOnMouseMove: true,
  moveOnMouseWheel: false,
  preventDefaultMouseMove: false,
}));

export function frame(theme: Theme, x: AxisLook, y: AxisLook): ChartOption {
  return {
    animation: false,
    dataZoom: zoom,
    textStyle: { fontFamily: theme.font },
    grid: { left: 48, right: 16, top: 30, bottom: 44 },
    xAxis: valueAxis(theme, x, false),
    yAxis: valueAxis(theme, y, true),
    tooltip: tooltipLook(theme),
  };
}

export const tooltipLook = (theme: Theme) => ({
  trigger: "item" as const,
  confine: true,
  transitionDuration: 0,
  backgroundColor: theme.surface,
  borderColor: theme.line,
  padding: 0,
  textStyle: { color: theme.text, fontFamily: theme.font, fontSize: 12 },
  extraCssText: "box-shadow: var(--shadow); border-radius: var(--radius); max-width: 320px; white-space: normal;",
});

/** Rows of `name value` under a title, as an element: text of users never becomes markup. */
export function tip(title: string, rows: readonly (readonly [string, string])[], note = ""): HTMLElement {
  const box = document.createElement("div");
  box.className = "tip";
  box.append(element("strong", title));
  const list = document.createElement("dl");
  for (const [name, value] of rows) list.append(element("dt", name), element("dd", value));
  box.append(list);
  if (note) box.append(element("p", note));
  return box;
}

function element(tag: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
