/** The indicators of all runs of a comparison, by layer and epoch. */

import { join } from 'node:path';
import { mean, standardDeviation } from '../core/numbers/statistics.ts';
import type { ComparedLayers } from '../report/page/compared-layers-html.ts';
import type { BandPoint } from '../report/plot-multiples.ts';
import { type Arm, runName } from '../training/comparison/comparison.ts';
import type { LayerIndicators } from '../training/measures/indicators.ts';
import { type EpochRecord, readHistory } from '../training/sessions/history-io.ts';
import { INDICATOR_COLUMNS, type IndicatorColumn } from './report-indicators.ts';

/** Null where no run recorded any. @param arms  each with the seeds of its runs. @throws {BnnError} E_FORMAT for a damaged history. */
export async function readComparedLayers(
  folder: string,
  arms: readonly { readonly arm: Arm; readonly seeds: readonly number[] }[],
): Promise<ComparedLayers | null> {
  const histories = await Promise.all(
    arms.map(({ arm, seeds }) =>
      Promise.all(seeds.map((seed) => readHistory(join(folder, 'runs', runName(arm, seed), 'history.jsonl')))),
    ),
  );
  const names = layerNames(histories.flat(2));
  if (names.length === 0) return null;
  const indicators = INDICATOR_COLUMNS.flatMap((column) => {
    const layers = names.map((name) => ({
      name,
      arms: histories.map((runs) => bandOf(runs, name, column)),
    }));
    const isMeasured = layers.some((layer) => layer.arms.some((points) => points.length > 0));
    return isMeasured ? [{ title: column.title, meaning: column.meaning, layers }] : [];
  });
  return { name: folder, arms: arms.map(({ arm }) => arm.name), indicators };
}

function layerNames(records: readonly EpochRecord[]): string[] {
  return [...new Set(records.flatMap(({ indicators }) => (indicators?.layers ?? []).map(({ layer }) => layer)))];
}

/** Over the seeds that have the epoch. */
function bandOf(runs: readonly (readonly EpochRecord[])[], layer: string, { value }: IndicatorColumn): BandPoint[] {
  const byEpoch = new Map<number, number[]>();
  for (const { epoch, indicators } of runs.flat()) {
    const found: LayerIndicators | undefined = indicators?.layers.find((one) => one.layer === layer);
    const number = found === undefined ? null : value(found);
    if (number === null || !Number.isFinite(number)) continue;
    byEpoch.set(epoch, [...(byEpoch.get(epoch) ?? []), number]);
  }
  return [...byEpoch]
    .sort(([a], [b]) => a - b)
    .map(([x, values]) => ({ x, mean: mean(values), spread: standardDeviation(values) }));
}
