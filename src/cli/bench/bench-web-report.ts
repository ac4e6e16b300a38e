/** How `bnn-bench web` shows its figures. */

import { geometricMean } from '../../core/numbers/quantile.ts';
import { formatBytes, threeDigits } from '../../report/format.ts';
import { columns, formatTable } from '../../report/table.ts';
import { visible } from '../../report/visible-text.ts';
import type { FirstResult, WebCase, WebTiming } from '../../tasks/bench-web.ts';

const COLUMNS = columns(['variant'], ['median ms', 'p10 - p90', 'ours is faster by', 'load ms']);

const FIRST_COLUMNS = columns(['variant'], ['median ms', 'p10 - p90', 'ours is faster by', 'downloaded, gzip']);

/** One table for a case. */
export function formatWebCase(result: WebCase): string {
  const row = (name: string, timing: WebTiming, ratio: string) => [
    ...cells(name, timing, ratio),
    timing.createMs.toFixed(1),
  ];
  return `${visible(result.name)}\n${formatTable(COLUMNS, [
    row('ours', result, '-'),
    ...Object.entries(result.baselines).map(([name, baseline]) => {
      const { ratio, ratioP10, ratioP90 } = baseline;
      return row(name, baseline, `${threeDigits(ratio)} (${threeDigits(ratioP10)} - ${threeDigits(ratioP90)})`);
    }),
  ])}`;
}

/** One table for loading a network. */
export function formatFirst(result: FirstResult): string {
  return `${visible(result.name)}, from an empty page to the first result, nothing cached\n${formatTable(
    FIRST_COLUMNS,
    [
      [...cells('ours', result, '-'), formatBytes(result.downloadedBytes)],
      ...Object.entries(result.baselines).map(([name, load]) => [
        ...cells(name, load, threeDigits(load.ratio)),
        formatBytes(load.downloadedBytes),
      ]),
    ],
  )}`;
}

function cells(name: string, { medianMs, p10Ms, p90Ms }: Omit<WebTiming, 'createMs'>, ratio: string): string[] {
  return [name, medianMs.toFixed(3), `${p10Ms.toFixed(3)} - ${p90Ms.toFixed(3)}`, ratio];
}

/** Geometric mean of the layers' ratios to each baseline; empty where there are no layers. */
export function meanLayerRatios(cases: readonly WebCase[]): Readonly<Record<string, number>> {
  const layers = cases.filter(({ kind }) => kind === 'layer');
  const names = Object.keys(layers[0]?.baselines ?? {});
  return Object.fromEntries(
    names.map((name) => [name, geometricMean(layers.flatMap(({ baselines }) => baselines[name]?.ratio ?? []))]),
  );
}
