/** Predictions as comma-separated values (RFC 4180), one line for a picture and a class. */

import type { PredictedPicture } from '../../tasks/predict-pictures.ts';

export const CSV_HEAD = 'picture,rank,class,index,probability';

export function csvLines({ picture, guesses }: PredictedPicture): string {
  return guesses
    .map(({ name, index, probability }, i) =>
      [quoted(harmlessPath(picture)), i + 1, quoted(harmlessName(name)), index, probability].join(','),
    )
    .join('\n');
}

/** Where a spreadsheet would see a formula, which a file of somebody else may bring; numbers are none. */
function isFormula(text: string): boolean {
  return /^[=@]/.test(text) || (/^[+-]/.test(text) && !/^[+-]\d+(\.\d+)?$/.test(text));
}

/** The same file. */
function harmlessPath(path: string): string {
  return isFormula(path) ? `./${path}` : path;
}

function harmlessName(name: string): string {
  return isFormula(name) ? `'${name}` : name;
}

/** Also quoted is what a spreadsheet would cut off: spaces at the ends. */
function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
