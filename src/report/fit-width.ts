/** Text for a terminal of a given width: lines are broken between words, tables into tables of fewer columns. */

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');
const RULE = /^-+( {2}-+)+$/;
/** What follows a name starts at most here; further right, broken lines would be narrow. */
const FURTHEST_HANG = 32;
const BETWEEN = '  ';

function widthOf(line: string): number {
  return [...line.replaceAll(ESCAPES, '')].length;
}

/**
 * The same text in lines of at most `width` characters; a longer word has a line of its own. A table is known by its rule (`---  ---`,
 * `table.ts`), which also says where its columns are: those that do not fit follow in tables below, each with the first column.
 *
 * @param width  Infinity leaves the text as it is.
 */
export function fitWidth(text: string, width: number): string {
  const lines = text.split('\n');
  if (lines.every((line) => widthOf(line) <= width)) return text;
  const fitted: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const rule = lines[i + 1];
    if (rule !== undefined && RULE.test(rule)) {
      const table = tableAt(lines, i, columnsOf(rule));
      fitted.push(...fitTable(table, columnsOf(rule), width));
      i += table.length - 1;
    } else {
      fitted.push(...breakLine(lines[i] ?? '', width));
    }
  }
  return fitted.join('\n');
}

interface Span {
  readonly from: number;
  readonly to: number;
}

function columnsOf(rule: string): Span[] {
  return [...rule.matchAll(/-+/g)].map(({ 0: dashes, index }) => ({ from: index, to: index + dashes.length }));
}

/** The lines from `first` on that have nothing but spaces between the columns. */
function tableAt(lines: readonly string[], first: number, columns: readonly Span[]): string[] {
  const isRow = (line: string): boolean => {
    const letters = [...line.replaceAll(ESCAPES, '')];
    return columns.every(({ to }) => (letters[to] ?? ' ') === ' ' && (letters[to + 1] ?? ' ') === ' ');
  };
  let end = first + 2;
  while (end < lines.length && lines[end] !== '' && isRow(lines[end] ?? '')) end++;
  return lines.slice(first, end);
}

function fitTable(lines: readonly string[], columns: readonly Span[], width: number): string[] {
  const rows = lines.map((line) => [...line.replaceAll(ESCAPES, '')]);
  const [first = { from: 0, to: 0 }, ...others] = columns;
  const widthWith = (group: readonly Span[]): number =>
    group.reduce((sum, { from, to }) => sum + BETWEEN.length + to - from, first.to);
  const groups: Span[][] = [[]];
  for (const column of others) {
    const group = groups.at(-1) ?? [];
    if (group.length > 0 && widthWith([...group, column]) > width) groups.push([column]);
    else group.push(column);
  }
  return groups.flatMap((group, i) => [
    ...(i === 0 ? [] : ['']),
    ...rows.flatMap((row) => {
      const cells = [first, ...group].map(({ from, to }) => row.slice(from, to).join(''));
      const line = cells.join(BETWEEN).trimEnd();
      return RULE.test(line) ? [line.slice(0, width)] : breakLine(line, width, first.to + BETWEEN.length);
    }),
  ]);
}

/** @param hang  where the lines after the first start: under the value of a name, or unless there is one, under the text. */
function breakLine(line: string, width: number, hang = hangOf(line)): string[] {
  if (widthOf(line) <= width) return [line];
  const indent = ' '.repeat(hang < width / 2 ? hang : 2);
  const lines: string[] = [];
  let current = line.slice(0, line.length - line.trimStart().length);
  let isEmpty = true;
  // Spaces in a line are kept: they may be those of columns.
  for (const [, space = '', word = ''] of line.trimStart().matchAll(/(\s*)(\S+)/g)) {
    if (!isEmpty && widthOf(current + space + word) > width) {
      lines.push(current);
      current = indent + word;
    } else {
      current += isEmpty ? word : space + word;
    }
    isEmpty = false;
  }
  return [...lines, current];
}

function hangOf(line: string): number {
  const plain = line.replaceAll(ESCAPES, '');
  const lead = plain.length - plain.trimStart().length;
  const values = [...plain.matchAll(/\S( {2,})\S/g)].map(({ index, 1: gap = '' }) => index + 1 + gap.length);
  return values.filter((at) => at <= FURTHEST_HANG).at(-1) ?? lead + 2;
}
