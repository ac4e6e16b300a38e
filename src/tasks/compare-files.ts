/** A comparison as CSV, one row a run, and as a LaTeX table. */

import { type ArmResult, judged, MEASURES } from '../training/comparison/comparison.ts';
import type { Comparison } from '../training/comparison/run-comparison-io.ts';

/** Every run with all measures, also one that diverged; what it has not is empty. RFC 4180. */
export function formatCsv({ arms, recipe }: Comparison): string {
  const head = ['arm', 'seed', 'epochs', 'lr', ...MEASURES, 'onlyThis', 'onlyFirst', 'mcnemarP', 'outcome'];
  const rateOf = (overrides: ArmResult['overrides']) => overrides['lr'] ?? recipe.lr;
  const rows = arms.flatMap(({ name, overrides, runs, diverged, disagreements }) => [
    ...runs.map((run) => {
      const { onlyThis, onlyFirst, p } = disagreements.find(({ seed }) => seed === run.seed) ?? {};
      const measures = MEASURES.map((measure) => run[measure]);
      return [name, run.seed, run.epochs, rateOf(overrides), ...measures, onlyThis, onlyFirst, p, 'complete'];
    }),
    ...diverged.map(({ seed }) => {
      const measures = MEASURES.map(() => null);
      return [name, seed, null, rateOf(overrides), ...measures, null, null, null, 'diverged'];
    }),
  ]);
  return [head, ...rows].map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
}

function csvCell(value: unknown): string {
  const text = value === null || value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Accuracy in percent, and what the contrasts say; for `\\usepackage{booktabs}`. */
export function formatLatex({ arms, seeds, judge }: Comparison): string {
  const first = arms[0]?.name ?? '';
  const number = (value: number, digits: number, sign = false): string =>
    `$${sign && value > 0 ? '+' : ''}${value.toFixed(digits)}$`;
  const row = ({ name, runs, diverged, spread, difference }: ArmResult): string => {
    const found = spread[judged(judge)];
    const tried = runs.length + diverged.length;
    const left =
      diverged.length > 0
        ? ` (${diverged.length} of ${tried} diverged)`
        : runs.length < seeds.length
          ? ` (${runs.length} of ${seeds.length} seeds)`
          : '';
    const accuracy =
      found === null
        ? `--${left}`
        : `${number(100 * found.mean, 2)}${found.std === null ? '' : ` $\\pm$ ${number(100 * found.std, 2)}`}${left}`;
    if (difference === null) return [latexText(name), accuracy, '--', '--', '--'].join(' & ');
    const [low, high] = difference.interval?.map((end) => (100 * end).toFixed(2)) ?? [];
    return [
      latexText(name),
      accuracy,
      number(100 * difference.mean, 2, true),
      low === undefined ? '--' : `$[${low}, ${high}]$`,
      difference.holmP === null ? '--' : difference.holmP < 0.001 ? '$<0.001$' : number(difference.holmP, 3),
    ].join(' & ');
  };
  return [
    `% ${seeds.length} seeds: mean and standard deviation; paired differences from "${first}", 95 % intervals, p of paired t tests after Holm`,
    '\\begin{tabular}{lrrrr}',
    '\\toprule',
    `arm & ${judge} accuracy [\\%] & difference & 95\\,\\% interval & $p$ (Holm) \\\\`,
    '\\midrule',
    ...arms.map((arm) => `${row(arm)} \\\\`),
    '\\bottomrule',
    '\\end{tabular}',
    '',
  ].join('\n');
}

const LATEX: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
};

function latexText(text: string): string {
  return text.replaceAll(/[\\~^&%$#_{}]/g, (character) => LATEX[character] ?? `\\${character}`);
}
