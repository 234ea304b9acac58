/** A panel with something over time, epochs or trials: its title, what can be chosen, the chart. */
import type { ComponentProps, ReactNode } from "react";
import { Chart } from "./chart";

interface Props extends Omit<ComponentProps<typeof Chart>, "className"> {
  /** Of the heading, unique on its page. */
  id: string;
  title: string;
  choices: ReactNode;
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
