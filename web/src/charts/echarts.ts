/** The parts of ECharts that we draw with; importing only these keeps the bundle to a third of the whole. */
import {
  CustomChart,
  type CustomSeriesOption,
  LineChart,
  LinesChart,
  type LineSeriesOption,
  type LinesSeriesOption,
  ParallelChart,
  type ParallelSeriesOption,
  ScatterChart,
  type ScatterSeriesOption,
} from "echarts/charts";
import {
  DataZoomInsideComponent,
  type DataZoomComponentOption,
  GridComponent,
  type GridComponentOption,
  ParallelComponent,
  type ParallelComponentOption,
  TooltipComponent,
  type TooltipComponentOption,
} from "echarts/components";
import { type ComposeOption, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([CustomChart, LineChart, LinesChart, ParallelChart, ScatterChart]);
use([DataZoomInsideComponent, GridComponent, ParallelComponent, TooltipComponent, CanvasRenderer]);

export type ChartOption = ComposeOption<
  | CustomSeriesOption
  | LineSeriesOption
  | LinesSeriesOption
  | ScatterSeriesOption
  | DataZoomComponentOption
  | GridComponentOption
  | TooltipComponentOption
>;
/** Of parallel coordinates; ECharts' own type of the two together fits neither. */
export interface ParallelOption {
  animation: boolean;
  textStyle: { fontFamily: string };
  parallel: ParallelComponentOption;
  parallelAxis: object[];
  tooltip?: TooltipComponentOption;
  series: ParallelSeriesOption[];
}
export const isParallel = (option: ChartOption | ParallelOption): option is ParallelOption => "parallelAxis" in option;
export type { CustomSeriesOption, LineSeriesOption, LinesSeriesOption, ParallelSeriesOption, ScatterSeriesOption };
export { init };
