/** Predictions as comma-separated values (RFC 4180), one line for a picture and a class. */

import type { PredictedPicture } from '../../tasks/predict-pictures.ts';

export const CSV_HEAD = 'picture,rank,class,index,probability';

export function csvLines({ picture, guesses }: PredictedPicture): string {
  return guesses
    .map(({ name, index, probability }, i) => [quoted(picture), i + 1, quoted(name), index, probability].join(','))
    .join('\n');
}

/** Also quoted is what a spreadsheet would cut off: spaces at the ends. */
function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
