/** The measured mixtures of a job on the simplex of its domains, coloured by their loss, and the recommended one. */
import { useMemo } from "react";
import type { Job, MixtureAnswer, Trial } from "../api/types";
import { indexOfNumber } from "../api/trial-set";
import { Chart } from "../charts/chart";
import type { ChartOption, LinesSeriesOption, ScatterSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import type { Point } from "../charts/front";
import { rampColor } from "../charts/ramp";
import { fitScale } from "../charts/scale";
import { corners, gridLines, placeOf, view } from "../charts/simplex";
import { type Theme, useTheme } from "../charts/theme";
import { short } from "../text/numbers";
import type { Shares } from "./shares";

interface Props {
  job: Job;
  answer: MixtureAnswer;
  /** A mixture that is asked for. */
  asked: Shares | null;
  trials: readonly Trial[];
  onSelect: (number: number) => void;
  /** Called with the trials that a box holds, where something can be done with them. */
  onChoose?: ((numbers: ReadonlySet<number>) => void) | undefined;
}

interface Measured {
  trial: Trial;
  place: Point;
  loss: number;
}

/** Width by height; the style sheet says the same. */
const RATIO = 1.3;
const TENTHS = [0.2, 0.4, 0.6, 0.8];

export function MixtureMap({ job, answer, asked, trials, onSelect, onChoose }: Props) {
  const theme = useTheme();
  const objective = job.objectives[0];
  const domains = useMemo(() => Object.keys(answer.weights).sort(), [answer]);
  const ends = useMemo(() => corners(domains.length), [domains]);
  const measured = useMemo(
    () => measuredOf(trials, objective?.metric ?? "loss", domains, ends),
    [trials, objective, domains, ends],
  );
  const option = useMemo<ChartOption>(() => {
    const place = (weights: Record<string, number>) => placeOf(sharesOf(weights, domains), ends);
    const shown = view(ends, RATIO);
    const blank = { ...fitScale([0, 1]), ticks: [] };
    const base = frame(
      theme,
      { name: "", scale: { ...blank, min: shown.x[0], max: shown.x[1] } },
      { name: "", scale: { ...blank, min: shown.y[0], max: shown.y[1] } },
    );
    return {
      ...base,
      grid: { left: 0, right: 0, top: 0, bottom: 0 },
      xAxis: { ...base.xAxis, show: false },
      yAxis: { ...base.yAxis, show: false },
      tooltip: { ...base.tooltip, formatter: tooltipOf(measured, domains, objective?.metric ?? "loss") },
      series: [
        outline(ends, theme),
        names(domains, ends, theme),
        cloud(measured, theme),
        mark("best measured", place(answer.best_measured), "circle", theme, theme.text),
        mark("asked for", asked && place(asked), "circle", theme, theme.second),
        mark("recommended", place(answer.weights), "diamond", theme, theme.reference),
      ],
    };
  }, [measured, answer, asked, domains, ends, objective, theme]);
  if (domains.length < 2 || measured.length === 0) return null;
  const [best, worst] = [Math.min, Math.max].map((end) => end(...measured.map(({ loss }) => loss)));
  const share = (name: string) => `${name} ${Math.round(100 * (answer.weights[name] ?? 0))} %`;
  return (
    <figure className="mixture-map">
      <Chart
        name="mixtures"
        className="chart chart-simplex"
        option={option}
        label={`${measured.length} measured mixtures of ${domains.join(", ")}; recommended: ${domains.map(share).join(", ")}`}
        onPick={(value) => value[2] !== undefined && onSelect(value[2])}
        onBox={onChoose && ((_, numbers) => onChoose(numbers))}
      />
      <figcaption>
        <ul className="legend line-key" aria-label={objective?.metric ?? "loss"}>
          {[
            [short(best ?? 0), 1],
            [short(worst ?? 0), 0],
          ].map(([text, goodness]) => (
            <li key={goodness}>
              <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                <circle cx="8" cy="8" r={sizeOf(goodness as number) / 2} fill={rampColor(goodness as number, theme)} />
              </svg>{" "}
              {objective?.metric ?? "loss"} {text}
            </li>
          ))}
        </ul>
        <p className="muted">
          A mixture lies the nearer to a corner the more of its domain it has; points are larger the lower their loss.
          {domains.length > 3 &&
            " With more than three domains this is a projection: mixtures that differ may share a place."}
        </p>
      </figcaption>
    </figure>
  );
}

const sharesOf = (weights: { [name: string]: unknown }, domains: readonly string[]): number[] =>
  domains.map((name) => (typeof weights[name] === "number" ? weights[name] : 0));

function measuredOf(trials: readonly Trial[], metric: string, domains: readonly string[], ends: readonly Point[]) {
  return trials.flatMap((trial): Measured[] => {
    const loss = trial.metrics[metric];
    const place = placeOf(sharesOf(trial.config, domains), ends);
    return trial.state === "completed" && typeof loss === "number" && place ? [{ trial, place, loss }] : [];
  });
}

/** The largest for the lowest loss. */
const sizeOf = (goodness: number): number => 6 + 8 * goodness;

function cloud(measured: readonly Measured[], theme: Theme): ScatterSeriesOption {
  const losses = measured.map(({ loss }) => loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  return {
    id: "mixtures",
    type: "scatter",
    z: 3,
    data: measured.map(({ trial, place, loss }) => {
      const goodness = high > low ? (high - loss) / (high - low) : 1;
      return {
        value: [...place, trial.number],
        symbolSize: sizeOf(goodness),
        itemStyle: { color: rampColor(goodness, theme), borderColor: theme.surface, borderWidth: 0.5 },
      };
    }),
  };
}

function outline(ends: readonly Point[], theme: Theme): LinesSeriesOption {
  const sides = ends.map((end, at): [Point, Point] => [end, ends[(at + 1) % ends.length] as Point]);
  const line = (width: number) => (pair: [Point, Point]) => ({
    coords: pair.map((end) => [...end]),
    lineStyle: { width },
  });
  return {
    id: "outline",
    type: "lines",
    coordinateSystem: "cartesian2d",
    silent: true,
    z: 1,
    data: [...gridLines(ends, TENTHS).map(line(0.5)), ...sides.map(line(1.25))],
    lineStyle: { color: theme.point, opacity: 0.7 },
  };
}

/** The domains at their corners, outside. */
function names(domains: readonly string[], ends: readonly Point[], theme: Theme): ScatterSeriesOption {
  return {
    id: "names",
    type: "scatter",
    silent: true,
    symbolSize: 1,
    data: domains.map((name, at) => {
      const [x, y] = ends[at] as Point;
      const side =
        y > 0.9 ? "top" : y < -0.9 ? "bottom" : x < 0 ? (y < 0 ? "bottom" : "left") : y < 0 ? "bottom" : "right";
      return { value: [x, y], label: { formatter: name, position: side as "top" } };
    }),
    label: {
      show: true,
      distance: 8,
      color: theme.text,
      fontFamily: theme.font,
      fontSize: 12,
      fontWeight: 600,
      width: 110,
      overflow: "truncate",
    },
  };
}

function mark(
  text: string,
  place: Point | null,
  symbol: "circle" | "diamond",
  theme: Theme,
  color: string,
): ScatterSeriesOption {
  return {
    id: text,
    type: "scatter",
    silent: true,
    z: 5,
    symbol,
    symbolSize: 18,
    data: place ? [[...place]] : [],
    itemStyle: { color: "transparent", borderColor: color, borderWidth: 2.5 },
    label: {
      show: true,
      formatter: text,
      position: beside(symbol, place),
      distance: 4,
      color,
      fontFamily: theme.font,
      fontSize: 11,
      fontWeight: 600,
      textBorderColor: theme.surface,
      textBorderWidth: 3,
    },
  };
}

/** Towards the middle, as names of domains stand outside; a diamond's text aside, so that it never lies on a circle's. */
function beside(symbol: "circle" | "diamond", place: Point | null) {
  const [x, y] = place ?? [0, 0];
  if (symbol === "diamond") return x > 0 ? "left" : "right";
  return y > 0 ? "bottom" : "top";
}

function tooltipOf(measured: readonly Measured[], domains: readonly string[], metric: string) {
  const trials = measured.map(({ trial }) => trial);
  return (point: unknown): HTMLElement | string => {
    const number = (point as { value?: number[] }).value?.[2];
    const found = number === undefined ? undefined : measured[indexOfNumber(trials, number)];
    if (!found) return "";
    const shares = sharesOf(found.trial.config, domains);
    return tip(`Trial ${found.trial.number}${found.trial.label ? ` · ${found.trial.label}` : ""}`, [
      [metric, short(found.loss)],
      ...domains.map((name, at) => [name, `${(100 * (shares[at] ?? 0)).toFixed(1)} %`] as const),
    ]);
  };
}
