/** The history of a run as lines over its epochs. */

import type { Line, LinePanel } from '../../report/plot-lines.ts';
import { networkName, type Recipe } from '../recipes/recipe.ts';
import { estimatorInWords } from '../recipes/recipe-choices.ts';
import type { EpochRecord } from './history-io.ts';

/** A number of a record; null where it has none. */
type Value = (record: EpochRecord) => number | null | undefined;

export interface Curve {
  readonly title: string;
  readonly value: Value;
  readonly unit?: string;
  readonly mayBeLog?: boolean;
}

const percent =
  (value: Value): Value =>
  (record) => {
    const share = value(record);
    return share == null ? share : 100 * share;
  };

const TRAIN_TOP1 = { title: 'training', value: percent(({ trainTop1 }) => trainTop1) };
const TEST_TOP1 = { title: 'test', value: percent(({ testTop1 }) => testTop1) };
const HELD_TOP1 = { title: 'held out', value: percent(({ validationTop1 }) => validationTop1) };

/** What of a history is drawn where several runs share a picture: one panel each. */
export const RUN_CURVES: readonly Curve[] = [
  { title: 'accuracy on the test pictures, %', value: TEST_TOP1.value, unit: ' %' },
  { title: 'accuracy in training, %', value: TRAIN_TOP1.value, unit: ' %' },
  { title: 'accuracy on the held-out pictures, %', value: HELD_TOP1.value, unit: ' %' },
  { title: 'loss on the test pictures', value: ({ testLoss }) => testLoss, mayBeLog: true },
  { title: 'loss in training', value: ({ trainLoss }) => trainLoss, mayBeLog: true },
  { title: 'learning rate', value: ({ lr }) => lr },
  { title: 'power o of ReSTE', value: ({ o }) => o },
  {
    title: 'weights that changed their sign, %',
    value: percent(({ indicators }) => indicators?.flipRatio),
    unit: ' %',
  },
  { title: 'estimating error per weight', value: ({ indicators }) => indicators?.errorPerWeight },
  { title: 'spread of gradients, std(|g|) / mean(|g|)', value: ({ indicators }) => indicators?.gradientVariation },
  { title: 'pictures a second', value: ({ imagesPerSecond }) => imagesPerSecond },
];

/** Panels of one run: accuracy and loss, each of training and tests together, and what drives them. */
export function curvesOfRun(records: readonly EpochRecord[]): LinePanel[] {
  const line = ({ title, value }: Curve): Line => lineOf(title, records, value);
  const panels = [
    { title: 'accuracy, %', unit: ' %', lines: [TEST_TOP1, HELD_TOP1, TRAIN_TOP1].map(line) },
    {
      title: 'loss',
      mayBeLog: true,
      lines: [
        { title: 'test', value: ({ testLoss }: EpochRecord) => testLoss },
        { title: 'training', value: ({ trainLoss }: EpochRecord) => trainLoss },
      ].map(line),
    },
    ...RUN_CURVES.slice(5).map((curve) => ({ ...curve, lines: [{ ...line(curve), name: 'last' }] })),
  ];
  return panels.flatMap(asPanel);
}

/** Panels of several runs, one for each thing that is measured. */
export function curvesOfRuns(
  runs: readonly { readonly name: string; readonly records: readonly EpochRecord[] }[],
): LinePanel[] {
  return RUN_CURVES.map((curve) => ({
    ...curve,
    lines: runs.map(({ name, records }, style) => ({ ...lineOf(name, records, curve.value), style })),
  })).flatMap(asPanel);
}

/** In a few words, for a subtitle. */
export function describeRun(recipe: Recipe, epochs: number): string {
  const { dataset, optimizer, lr, batchSize, seed } = recipe;
  const count = `${epochs} of ${recipe.epochs} epochs`;
  return `${networkName(recipe)} on ${dataset}, ${estimatorInWords(recipe) ?? 'without signs'}, ${optimizer} lr ${lr}, batch ${batchSize}, seed ${seed}, ${count}`;
}

function lineOf(name: string, records: readonly EpochRecord[], value: Value): Line {
  const points = records.map((record) => ({ x: record.epoch, y: value(record) }));
  // Undefined is what was not measured, null what is no number.
  return { name, points: points.flatMap(({ x, y }) => (y === undefined ? [] : [{ x, y }])) };
}

/** None where nothing was measured. What is null throughout was not either, but for losses, which diverge. */
function asPanel(panel: Omit<LinePanel, 'xLabel'>): LinePanel[] {
  const isLoss = panel.title.startsWith('loss');
  const lines = panel.lines.filter(({ points }) => (isLoss ? points.length > 0 : points.some(({ y }) => y !== null)));
  return lines.length === 0 ? [] : [{ ...panel, lines, xLabel: 'epoch' }];
}
