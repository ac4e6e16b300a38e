/** Brace patterns, as shells and WebDataset have them: `a-{000..146}.tar`, `{train,val}-0.tar`, also nested. */

import { BnnError } from '../../errors.ts';

const RANGE = /^(\d+)\.\.(\d+)$/;
/** More files than any data set has: a range with a digit too many should not fill the memory. */
const MOST = 1_000_000;

/**
 * All texts that a pattern stands for, in their order. A range with leading zeros keeps its width.
 *
 * @throws {BnnError} E_USAGE for braces that do not match, and for more than a million results.
 */
export function expandBraces(pattern: string): string[] {
  return expand(pattern, pattern);
}

function expand(text: string, pattern: string): string[] {
  const open = text.indexOf('{');
  if (open < 0) {
    if (text.includes('}')) throw unbalanced(pattern);
    return [text];
  }
  const { close, commas } = matchBrace(text, open, pattern);
  const bounds = [open, ...commas, close];
  const parts = bounds.slice(1).map((end, i) => text.slice((bounds[i] ?? 0) + 1, end));
  const range = parts.length === 1 ? RANGE.exec(parts[0] ?? '') : null;
  const middles = range === null ? parts.flatMap((part) => expand(part, pattern)) : numbers(range, pattern);
  const tails = expand(text.slice(close + 1), pattern);
  if (middles.length * tails.length > MOST) throw tooMany(pattern);
  const head = text.slice(0, open);
  return middles.flatMap((middle) => tails.map((tail) => head + middle + tail));
}

function matchBrace(text: string, open: number, pattern: string): { close: number; commas: number[] } {
  const commas: number[] = [];
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === ',' && depth === 1) commas.push(i);
    else if (text[i] === '}' && --depth === 0) return { close: i, commas };
  }
  throw unbalanced(pattern);
}

function numbers([, from = '', to = '']: RegExpExecArray, pattern: string): string[] {
  const [first, last] = [Number(from), Number(to)];
  const step = first <= last ? 1 : -1;
  const count = Math.abs(last - first) + 1;
  if (count > MOST) throw tooMany(pattern);
  const width = [from, to].some((end) => end.length > 1 && end.startsWith('0')) ? Math.max(from.length, to.length) : 0;
  return Array.from({ length: count }, (_, i) => String(first + i * step).padStart(width, '0'));
}

function unbalanced(pattern: string): BnnError {
  const hint = 'expected e.g. train-{000..146}.tar or {train,val}-0.tar';
  return new BnnError('E_USAGE', `the braces of "${pattern}" do not match`, { hint });
}

function tooMany(pattern: string): BnnError {
  return new BnnError('E_USAGE', `"${pattern}" stands for more than ${MOST} files`);
}
