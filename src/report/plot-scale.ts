/** From numbers to positions: linear and logarithmic axes with round tick marks. */

export interface Scale {
  /** Position of a value, in pixels. */
  at(value: number): number;
  readonly ticks: readonly Tick[];
}

export interface Tick {
  readonly value: number;
  readonly label: string;
}

export interface ScaleOptions {
  /** Positions of the ends; the first may be the larger one. */
  readonly range: readonly [number, number];
  /** Wanted number of ticks; the result has about so many. */
  readonly count?: number;
}

const PADDING = 0.08;

/** An axis over all values, with a little room at both ends. */
export function linearScale(values: readonly number[], { range, count = 5 }: ScaleOptions): Scale {
  const [low, high] = padded(Math.min(...values), Math.max(...values));
  const step = roundStep((high - low) / count);
  const power = Math.floor(Math.log10(step) + 1e-9);
  // 0.25 takes one digit more than its power of ten says.
  const places = (Math.abs(step / 10 ** power - 2.5) < 1e-6 ? 1 : 0) - power;
  const ticks: Tick[] = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) {
    ticks.push({ value: k * step, label: formatTick(k * step, places) });
  }
  return { at: (value) => range[0] + ((value - low) / (high - low)) * (range[1] - range[0]), ticks };
}

/** A logarithmic axis over positive values; ticks at 1, 2 and 5 times powers of ten, or at powers of ten when those are many. */
export function logScale(values: readonly number[], { range, count = 5 }: ScaleOptions): Scale {
  const logs = values.map((value) => Math.log10(value));
  const [low, high] = padded(Math.min(...logs), Math.max(...logs));
  const decades = high - low;
  const multiples = decades < 1 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < count / 2 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil(decades / count));
  const ticks: Tick[] = [];
  for (let power = Math.floor(low); power <= high; power++) {
    if (power % stride !== 0) continue;
    for (const multiple of multiples) {
      const value = multiple * 10 ** power;
      const position = Math.log10(value);
      if (position >= low && position <= high) ticks.push({ value, label: formatPower(multiple, power) });
    }
  }
  return { at: (value) => range[0] + ((Math.log10(value) - low) / decades) * (range[1] - range[0]), ticks };
}

/** Room on both sides; a single value gets an interval around it. */
function padded(low: number, high: number): [number, number] {
  const room = high > low ? (high - low) * PADDING : Math.max(Math.abs(low) * 0.1, 1e-12);
  return [low - room, high + room];
}

/** The next number 1, 2, 2.5 or 5 times a power of ten. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const mantissa = step / power;
  return power * ([1, 2, 2.5, 5].find((candidate) => mantissa <= candidate * (1 + 1e-9)) ?? 10);
}

/** @param places  decimal places that the step has; negative where it is a multiple of 10. */
function formatTick(value: number, places: number): string {
  const size = Math.abs(value);
  if (size === 0 || (size < 1e7 && places <= 5)) return value.toFixed(Math.max(0, places));
  const exponent = Math.floor(Math.log10(size) + 1e-9);
  return value.toExponential(Math.min(9, Math.max(0, exponent + places))).replace('e+', 'e');
}

const SUPERSCRIPTS: Readonly<Record<string, string>> = Object.fromEntries(
  [...'0123456789-'].map((digit, i) => [digit, [...'⁰¹²³⁴⁵⁶⁷⁸⁹⁻'][i] ?? '']),
);

/** `0.002`, `2`, `500`; `2·10⁻⁶` beyond. */
function formatPower(multiple: number, power: number): string {
  if (power >= -3 && power <= 4) return String(Number((multiple * 10 ** power).toPrecision(6)));
  const exponent = [...String(power)].map((digit) => SUPERSCRIPTS[digit] ?? digit).join('');
  return multiple === 1 ? `10${exponent}` : `${multiple}·10${exponent}`;
}
