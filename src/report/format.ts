/** Numbers as people read them. Decimal units: 1 kB = 1000 bytes. */

const MISSING = '-';

/** `1,234,567`; `-` for null. */
export function formatCount(count: number | null): string {
  if (count === null) return MISSING;
  return Math.round(count)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 epoch`, `3 epochs`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

const BYTE_UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const;

/** `999 bytes`, `72.3 kB`, `4.21 MB`: three digits. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} bytes`;
  let value = bytes;
  let unit = 0;
  // 999.5 would be shown as 1000.
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${threeDigits(value)} ${BYTE_UNITS[unit]}`;
}

/** `0.43`, `6.00`, `72.3`, `384`, `12,345`: about three digits, never an exponent. */
export function threeDigits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 99.95) return formatCount(value);
  return value.toFixed(size >= 9.995 ? 1 : 2);
}

/** `0.42 s`, `12.3 s`, `19 min 8 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return MISSING;
  if (seconds < 59.95) return `${seconds < 9.995 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `0:42`, `19:08`, `2:05:00`, for a line that changes all the time. */
export function formatClock(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--:--';
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A fraction as `98.31 %`; `-` for null. */
export function formatPercent(fraction: number | null, digits = 2): string {
  return fraction === null ? MISSING : `${(fraction * 100).toFixed(digits)} %`;
}

/** A learning rate: `5.00e-3`. */
export function formatExponent(value: number): string {
  return value === 0 ? '0' : value.toExponential(2);
}

/** How far two results lie apart: `0`, `5.7e-6`, `0.57`. */
export function formatDifference(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  return value >= 0.01 && value < 1000 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}
