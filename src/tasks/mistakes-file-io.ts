/** The mistakes of a model as a file: a table, or a page with pictures. */

import { basename, extname } from 'node:path';
import { writeFileAtomic } from '../core/files/atomic-file-io.ts';
import { pictureAddress } from '../data/pictures/encode-picture.ts';
import { BnnError } from '../errors.ts';
import type { Mistake } from '../inference/decision-sheet.ts';
import type { Confusion } from '../report/confusion.ts';
import { formatCount, formatPercent, plural } from '../report/format.ts';
import { gallery, type ShownMistake } from '../report/page/gallery.ts';
import { escapeHtml, figures, type Html, page, quiet, sections } from '../report/page/html.ts';
import { confusionParts } from './report-confusion.ts';
import type { ModelValidation } from './validate-model.ts';

/** Pictures on a page, and the side in pixels to which large ones are made smaller: under 3 MB. */
export const PAGE_PICTURES = 120;
const SIDE = 144;

const COLUMNS = ['index', 'picture', 'label', 'decision', 'probability', 'labelProbability'] as const;

/** How many pictures a file of this name shows. @throws {BnnError} E_USAGE for one that is neither .csv nor .html. */
export function picturesOf(path: string): number {
  const kind = extname(path).toLowerCase();
  if (kind === '.csv') return 0;
  if (kind === '.html' || kind === '.htm') return PAGE_PICTURES;
  throw new BnnError('E_USAGE', `the mistakes are written as .csv or .html, not as "${kind || basename(path)}"`, {
    at: path,
    hint: 'give a name that ends in .csv or .html',
  });
}

/** @param validation  with its mistakes and confusion. */
export async function writeMistakes(path: string, validation: ModelValidation): Promise<void> {
  const text = picturesOf(path) === 0 ? mistakesCsv(validation) : await mistakesPage(validation);
  await writeFileAtomic(path, text);
}

function mistakesCsv({ mistakes, classes }: ModelValidation): string {
  const rows = (mistakes ?? []).map((one) =>
    [
      one.index,
      one.picture,
      classes[one.label]?.name ?? one.label,
      classes[one.decision]?.name ?? one.decision,
      one.probability,
      one.labelProbability,
    ].map(csvCell),
  );
  return [COLUMNS, ...rows].map((row) => `${row.join(',')}\n`).join('');
}

/** Quoted where it must be; what a spreadsheet would compute is text. */
function csvCell(value: string | number): string {
  const text = String(value);
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

async function mistakesPage({
  model,
  dataset,
  images,
  top1,
  loss,
  mistakes,
  classes,
  confusion,
}: ModelValidation): Promise<Html> {
  const all = mistakes ?? [];
  const names = classes.map(({ name }) => name);
  const shown = await showMistakes(all, names, SIDE);
  const matrix: Confusion = { classes: names, counts: confusion ?? [] };
  const parts = await confusionParts([{ ...matrix, name: basename(model) }]);
  const { nav, html } = sections([
    {
      id: 'mistakes',
      title: 'Mistakes',
      html:
        all.length === 0
          ? quiet('There are none.')
          : `${quiet(`${plural(shown.length, 'picture')} of ${formatCount(all.length)}, those first of which the network is most certain.`)}\n${gallery(shown)}`,
    },
    ...parts,
  ]);
  return page({
    title: `Mistakes of ${basename(model)}`,
    body: [
      `<header><h1>Mistakes of ${escapeHtml(basename(model))}</h1>`,
      `<p class="quiet"><code>${escapeHtml(model)}</code> on the test pictures of ${escapeHtml(dataset.name)}</p>`,
      figures([
        ['test pictures', formatCount(images)],
        ['mistakes', formatCount(all.length)],
        ['accuracy', formatPercent(top1)],
        ['loss', loss.toFixed(4)],
      ]),
      `${nav}</header>`,
      `<main>${html}</main>`,
    ].join('\n'),
  });
}

/** Those whose pictures were kept. */
export async function showMistakes(
  mistakes: readonly Mistake[],
  classes: readonly string[],
  side: number,
): Promise<ShownMistake[]> {
  const shown: ShownMistake[] = [];
  for (const { pixels, picture, label, decision, probability, labelProbability } of mistakes) {
    if (pixels === null) continue;
    shown.push({
      address: await pictureAddress(pixels, side),
      isSmall: Math.max(pixels.height, pixels.width) <= 64,
      picture: shortName(picture),
      label: classes[label] ?? String(label),
      decision: classes[decision] ?? String(decision),
      probability,
      labelProbability,
    });
  }
  return shown;
}

/** The last two parts of a path. */
function shortName(picture: string): string {
  return picture.split(/[\\/]/).slice(-2).join('/');
}
