/** A panel with something over time, epochs or trials: its title, what can be chosen, the chart. */
import type { ReactNode } from "react";
import { Chart } from "./chart";
import type { Cloud } from "./cloud";
import type { ChartOption } from "./echarts";

interface Props {
  /** Of the heading, unique on its page. */
  id: string;
  title: string;
  choices: ReactNode;
  option: ChartOption;
  clouds?: readonly Cloud[];
  label: string;
  onPick?: (value: readonly number[]) => void;
}

export function CoursePanel({ id, title, choices, ...chart }: Props) {
  return (
    <section className="panel" aria-labelledby={id}>
      <div className="panel-head">
        <h2 id={id}>{title}</h2>
        {choices}
      </div>
      <Chart className="chart chart-progress" {...chart} />
    </section>
  );
}
