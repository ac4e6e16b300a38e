/** Numbers as text that reads back to the same bits. */

/** The shortest decimal that rounds to this float32; `-0`, `inf`, `-inf`, `nan`. Nine digits tell any two float32 apart. */
export function formatFloat32(value: number): string {
  if (!Number.isFinite(value) || value === 0) return formatFloat64(value);
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  return String(Number(value.toPrecision(9)));
}

/** The shortest decimal that reads back as this number; `-0`, `inf`, `-inf`, `nan`. */
export function formatFloat64(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The inverse of both, for text that `NUMBER` matches. */
export function parseFloatText(text: string): number {
  if (text === 'nan') return Number.NaN;
  if (text === 'inf') return Infinity;
  return text === '-inf' ? -Infinity : Number(text);
}

/** Any number that is printed, without a suffix. */
export const NUMBER = /nan|-?inf|0x[0-9a-f]+|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/y;
