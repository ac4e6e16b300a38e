/** The indicators of all arms of a comparison, layer by layer and epoch by epoch. */

import { type BandPoint, bandText, lineSample, smallPanels } from '../plot-multiples.ts';
import { escapeHtml, type Html, quiet, table } from './html.ts';

export interface ComparedIndicator {
  readonly title: string;
  /** What it is, in a sentence. */
  readonly meaning: string;
  readonly layers: readonly {
    readonly name: string;
    /** By arm: mean over the seeds and standard deviation, by epoch. */
    readonly arms: readonly (readonly BandPoint[])[];
  }[];
}

export interface ComparedLayers {
  /** Of the comparison. */
  readonly name: string;
  readonly arms: readonly string[];
  readonly indicators: readonly ComparedIndicator[];
}

/** @param isFirst  of the page, whose first indicator is open. */
export function comparedLayersHtml({ name, arms, indicators }: ComparedLayers, isFirst: boolean): Html {
  const legend = arms.map((arm, i) => `<li>${lineSample(i)} ${escapeHtml(arm)}</li>`).join('');
  return [
    `<h3>${escapeHtml(name)}</h3>`,
    quiet(
      'A panel a layer, a line an arm: the mean over its seeds, in a band of one standard deviation to each side. All panels of an indicator have one scale.',
    ),
    `<ul class="legend">${legend}</ul>`,
    ...indicators.map((indicator, i) => indicatorHtml(indicator, arms, isFirst && i === 0)),
  ].join('\n');
}

function indicatorHtml({ title, meaning, layers }: ComparedIndicator, arms: readonly string[], isOpen: boolean): Html {
  const shown = layers.filter((layer) => layer.arms.some((points) => points.length > 0));
  const panels = shown.map((layer) => ({
    title: layer.name,
    lines: layer.arms.flatMap((points, style) =>
      points.length === 0 ? [] : [{ name: arms[style] ?? '', style, points }],
    ),
  }));
  const numbers = table({
    label: `${title} in the last epoch`,
    caption: true,
    head: ['layer', ...arms],
    rows: shown.map((layer) => [
      layer.name,
      ...layer.arms.map((points) => {
        const last = points.at(-1);
        return last === undefined ? '-' : bandText(last);
      }),
    ]),
  });
  return [
    `<details${isOpen ? ' open' : ''}><summary>${escapeHtml(title)}: ${escapeHtml(meaning)}</summary>`,
    `<div class="multiples">${smallPanels(panels, 'epoch').join('\n')}</div>`,
    numbers,
    '</details>',
  ].join('\n');
}
