/** Whether models and data call their classes alike: a label is only a position. */

import { BnnError } from '../errors.ts';

export interface NamedClasses {
  /** Whose they are, in a message. */
  readonly of: string;
  readonly at: string;
  readonly classes: readonly string[];
}

/**
 * Compares names, each list with each; lists of another length are for others to judge.
 *
 * @returns  what the reader should know: the first names that differ.
 * @throws {BnnError} E_SHAPE when the same names stand in another order, so that labels are those of other classes.
 */
export function compareClassNames(lists: readonly NamedClasses[]): string[] {
  // What two have in common is said once.
  const distinct = [...new Map([...lists].reverse().map((list) => [JSON.stringify(list.classes), list])).values()];
  distinct.reverse();
  return distinct
    .flatMap((a, i) => distinct.slice(i + 1).map((b) => comparePair(a, b)))
    .filter((note) => note !== undefined);
}

function comparePair(a: NamedClasses, b: NamedClasses): string | undefined {
  const label = a.classes.findIndex((name, i) => name !== b.classes[i]);
  if (label < 0 || a.classes.length !== b.classes.length) return undefined;
  const found = `class ${label} is "${a.classes[label]}" in ${a.of}, "${b.classes[label]}" in ${b.of}`;
  if (isSameSet(a.classes, b.classes)) {
    throw new BnnError('E_SHAPE', `the same classes stand in another order: ${found}`, {
      at: a.at,
      hint: 'bring them into one order: those of a file by bnn-convert --classes, those of pictures by classes.txt (imagenet, webdataset)',
    });
  }
  if (isNumbered(a.classes) || isNumbered(b.classes)) return undefined;
  return `classes have other names: ${found}`;
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  const sorted = [...b].sort();
  return [...a].sort().every((name, i) => name === sorted[i]);
}

/** Numbers in place of names, as `webdataset` gives them without a list. */
function isNumbered(classes: readonly string[]): boolean {
  return classes.every((name, label) => name === String(label));
}
