/** The best value so far of a job as a small line: whether it still rises is seen at a glance. */
import type { CourseView } from "../api/openapi";
import { short } from "../text/numbers";

const SIZE = { width: 96, height: 22, margin: 2 };

export function Sparkline({ course }: { course: CourseView | undefined }) {
  const values = course?.values ?? [];
  const [first, last] = [values[0], values.at(-1)];
  if (!course || first === undefined || last === undefined) return null;
  const points = pointsOf(values).map((point) => point.join());
  return (
    <svg
      className="sparkline"
      role="img"
      aria-label={`Best ${course.metric} so far, from ${short(first)} to ${short(last)}`}
      viewBox={`0 0 ${SIZE.width} ${SIZE.height}`}
      width={SIZE.width}
      height={SIZE.height}
    >
      <polyline points={points.join(" ")} />
      <circle cx={points.at(-1)?.split(",")[0]} cy={points.at(-1)?.split(",")[1]} r="2" />
    </svg>
  );
}

/** Steps, as a best value stays until a better one comes; larger values lie higher, and a level course in the middle. */
export function pointsOf(values: readonly number[]): [x: number, y: number][] {
  const { width, height, margin } = SIZE;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (at: number) => margin + ((width - 2 * margin) * at) / Math.max(1, values.length - 1);
  const y = (value: number) =>
    high > low ? height - margin - ((height - 2 * margin) * (value - low)) / (high - low) : height / 2;
  return values.flatMap((value, at): [number, number][] => {
    const before = values[at - 1];
    return before === undefined || before === value
      ? [[x(at), y(value)]]
      : [
          [x(at), y(before)],
          [x(at), y(value)],
        ];
  });
}
