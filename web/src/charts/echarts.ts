/** The parts of ECharts that we draw with; importing only these keeps the bundle to a third of the whole. */
import {
  LineChart,
  LinesChart,
  type LineSeriesOption,
  type LinesSeriesOption,
  ScatterChart,
  type ScatterSeriesOption,
} from "echarts/charts";
import {
  GridComponent,
  type GridComponentOption,
  TooltipComponent,
  type TooltipComponentOption,
} from "echarts/components";
import { type ComposeOption, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([LineChart, LinesChart, ScatterChart, GridComponent, TooltipComponent, CanvasRenderer]);

export type ChartOption = ComposeOption<
  LineSeriesOption | LinesSeriesOption | ScatterSeriesOption | GridComponentOption | TooltipComponentOption
>;
export type { LineSeriesOption, LinesSeriesOption, ScatterSeriesOption };
export { init };
