/** Numbers as people read them. */

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** `12,345`. */
export const integer = (value: number): string => grouped.format(value);

/** A share of 1 in whole percent: `42 %`. */
export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** Four significant digits without trailing noise: `0.6714`, `12.3`, `2e-4`. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3) return exponent(value);
  if (size >= 1e4) return integer(value);
  return String(Number(value.toPrecision(4)));
}

/** `2e-4`, `2.5e-4`. */
function exponent(value: number): string {
  return value
    .toExponential(2)
    .replace(/\.?0*e/, "e")
    .replace("e+", "e");
}

const prefixes: [number, string][] = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** For axes: `950`, `12k`, `1.5M`. */
export function compact(value: number): string {
  const size = Math.abs(value);
  for (const [step, letter] of prefixes) {
    if (size >= step) return `${Number((value / step).toPrecision(3))}${letter}`;
  }
  return size === 0 ? "0" : String(Number(value.toPrecision(3)));
}

/** For ticks on an axis that shows `span` from end to end: as many decimals as tell neighbours apart. */
export function tick(value: number, span: number): string {
  const [step, letter] = prefixes.find(([least]) => Math.abs(value) >= least && span >= least / 100) ?? [1, ""];
  const decimals = Math.max(0, Math.ceil(-Math.log10(span / step / 6)));
  return value === 0 ? "0" : `${(value / step).toFixed(Math.min(decimals, 10))}${letter}`;
}

const byteSteps: [number, string][] = [
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
];

/** `148 kB`, decimal units. */
export function bytes(value: number): string {
  for (const [step, unit] of byteSteps) {
    if (value >= step) return `${Number((value / step).toPrecision(3))} ${unit}`;
  }
  return `${integer(value)} B`;
}

/** A metric's value in the unit of the metric catalogue. Fractions keep four places so that columns line up. */
export function metricValue(value: number | undefined | null, unit = ""): string {
  if (value === undefined || value === null) return "–";
  if (!Number.isFinite(value)) return "not finite";
  if (unit === "bytes") return bytes(value);
  if (unit === "parameters") return integer(value);
  if (unit === "seconds") return `${value.toFixed(1)} s`;
  if (unit === "milliseconds") return `${value.toFixed(2)} ms`;
  if (unit !== "" && unit !== "nats") return `${short(value)} ${unit}`;
  if (Number.isInteger(value) && Math.abs(value) > 1) return integer(value);
  return Math.abs(value) < 10 ? value.toFixed(4) : short(value);
}
