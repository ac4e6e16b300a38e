/** The indicators of a run by layer and epoch, as a page shows them. */

import type { Indicator, IndicatorTable } from '../report/page/indicators-html.ts';
import type { LayerIndicators } from '../training/measures/indicators.ts';
import type { EpochRecord } from '../training/sessions/history-io.ts';

export interface IndicatorColumn {
  readonly title: string;
  readonly meaning: string;
  readonly value: (layer: LayerIndicators) => number | null;
}

const percent = (share: number | null | undefined): number | null => (share == null ? null : 100 * share);

/** In the order of the page. */
export const INDICATOR_COLUMNS: readonly IndicatorColumn[] = [
  {
    title: 'e/√n',
    meaning: 'how far the surrogate of the sign is from the sign at the weights, per weight (estimating error)',
    value: ({ errorPerWeight }) => errorPerWeight,
  },
  {
    title: 'cv(|g|)',
    meaning: 'spread of the gradients against their mean; more is less stable',
    value: ({ gradientVariation }) => gradientVariation,
  },
  {
    title: 'flips, %',
    meaning: 'weights that ended the epoch with another sign',
    value: ({ flipRatio }) => percent(flipRatio),
  },
  {
    title: 'flips a step, %',
    meaning: 'weights that change their sign in one step',
    value: ({ stepFlipRate }) => percent(stepFlipRate),
  },
  {
    title: 'back, %',
    meaning: 'of the sign changes within an epoch, those that did not last',
    value: ({ oscillation }) => percent(oscillation),
  },
  {
    title: 'never, %',
    meaning: 'weights that kept their sign since the training began',
    value: ({ neverFlipped }) => percent(neverFlipped),
  },
  {
    title: 'first signs',
    meaning: 'mean product of the sign with that before training; 0 is unrelated',
    value: ({ firstSignCorrelation }) => firstSignCorrelation ?? null,
  },
  {
    title: 'H(sign), bits',
    meaning: 'what the sign of a channel of the activations carries; 1 is the most',
    value: ({ activations }) => activations?.signEntropy ?? null,
  },
  {
    title: 'dead channels',
    meaning: 'channels whose sign hardly changes from picture to picture',
    value: ({ activations }) => activations?.deadChannels ?? null,
  },
  {
    title: 'I(sign; label), bits',
    meaning: 'what the sign at one place of a channel tells about the class',
    value: ({ activations }) => activations?.labelInformation ?? null,
  },
];

/** Null where none were recorded. */
export function indicatorTable(records: readonly EpochRecord[]): IndicatorTable | null {
  const measured = records.flatMap(({ epoch, indicators }) =>
    indicators === undefined ? [] : [{ epoch, layers: indicators.layers }],
  );
  const [first] = measured;
  if (first === undefined) return null;
  const indicators = INDICATOR_COLUMNS.map(({ title, meaning, value }): Indicator => {
    const values = first.layers.map((_, i) =>
      measured.map(({ layers }) => {
        const layer = layers[i];
        return layer === undefined ? null : value(layer);
      }),
    );
    return { title, meaning, values };
  });
  return {
    layers: first.layers.map(({ layer, weights }) => ({ name: layer, weights })),
    epochs: measured.map(({ epoch }) => epoch),
    indicators,
  };
}
