/** `history.csv` of a model: what its training measured after each epoch. */

import { BnnError } from '../../src/errors.ts';
import type { CurvePoint } from '../../src/report/plot-curves.ts';

const HEADER = 'epoch,test_top1';

/** @param lines of a run's history.jsonl. */
export function formatHistory(lines: readonly { readonly epoch: number; readonly testTop1: number | null }[]): string {
  return `${[HEADER, ...lines.map(({ epoch, testTop1 }) => `${epoch},${testTop1 ?? ''}`)].join('\n')}\n`;
}

/**
 * Epochs whose test accuracy was measured.
 *
 * @throws {BnnError} E_FORMAT that names the line.
 */
export function parseHistory(text: string, at: string): CurvePoint[] {
  const [header, ...lines] = text.trimEnd().split('\n');
  if (header !== HEADER) throw new BnnError('E_FORMAT', `the first line is '${header}', expected '${HEADER}'`, { at });
  return lines.flatMap((line, i) => {
    const match = /^(\d+),([\d.e-]*)$/.exec(line);
    if (match === null)
      throw new BnnError('E_FORMAT', `line ${i + 2} is '${line}', expected an epoch and a share`, { at });
    return match[2] === '' ? [] : [{ epoch: Number(match[1]), accuracy: Number(match[2]) }];
  });
}
