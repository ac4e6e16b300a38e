/** The sections of a page that say which classes are taken for which. */

import { inkAddress } from '../data/pictures/encode-picture.ts';
import {
  accuracyByClass,
  confusedPairsTable,
  confusionHeat,
  confusionInk,
  confusionMatrix,
  MOST_CELLS,
  type NamedConfusion,
} from '../report/page/confusion-html.ts';
import { escapeHtml, type Html, type Section } from '../report/page/html.ts';

/** @param runs  those of the same classes share the table of accuracies. */
export async function confusionParts(runs: readonly NamedConfusion[]): Promise<Section[]> {
  const parts: Html[] = [];
  for (const run of runs) {
    const heading = runs.length > 1 ? `<h3>${escapeHtml(run.name)}</h3>` : '';
    parts.push(`<div>${heading}${await oneMatrix(run)}</div>`);
  }
  const groups = new Map<string, NamedConfusion[]>();
  for (const run of runs) {
    const key = JSON.stringify(run.classes);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [
    {
      id: 'confusion',
      title: 'Confusion',
      html: parts.length === 0 ? '' : `<div class="beside">${parts.join('\n')}</div>`,
    },
    { id: 'classes', title: 'Accuracy by class', html: [...groups.values()].map(accuracyByClass).join('\n') },
  ];
}

async function oneMatrix(run: NamedConfusion): Promise<Html> {
  const label = `confusion matrix of ${run.name}`;
  const size = run.classes.length;
  if (size <= MOST_CELLS) return confusionMatrix(run, label);
  const heat = confusionHeat(run, await inkAddress(confusionInk(run), size, size), label);
  return `<div class="beside">${heat}${confusedPairsTable(run, 'most frequent confusions')}</div>`;
}
