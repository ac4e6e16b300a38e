/** How `bnn-bench` shows its figures. */

import type { BaselineMeasurement, BenchCase, Measurement, ProviderCase } from '../../inference/bench-case.ts';
import { formatPercent, threeDigits } from '../../report/format.ts';
import { columns, formatPairs, formatTable } from '../../report/table.ts';
import { visible } from '../../report/visible-text.ts';
import type { DataCase } from '../../tasks/bench-data.ts';
import { formatNodes } from '../provider-flags.ts';

const COLUMNS = columns(
  ['variant'],
  ['median ms', 'p10 - p90', 'Gop/s', 'ours is faster by', 'load ms', 'peak MiB', 'resident', 'private'],
);

/** One table for a case. */
export function formatCase(result: BenchCase): string {
  const { name, isa, threads, popcountLimitGops, popcountShare, baselines } = result;
  const table = formatTable(COLUMNS, [
    formatMeasurement('ours', result, '-'),
    ...Object.entries(baselines).map(([label, baseline]) => formatMeasurement(label, baseline, formatRatio(baseline))),
  ]);
  const limit = `${formatPercent(popcountShare, 1)} of the popcount limit (${threeDigits(popcountLimitGops)} Gop/s, ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'})`;
  return `${visible(name)}: ${limit}\n${table}`;
}

const PROVIDER_COLUMNS = columns(['variant'], ['median ms', 'p10 - p90', 'images/s', 'faster by', 'load ms']);

/** One table for a network on an execution provider. */
export function formatProviderCase(result: ProviderCase): string {
  const { name, ep, batch, nodes, baselines } = result;
  const row = (label: string, measured: Measurement, ratio: string): string[] => [
    label,
    measured.medianMs.toFixed(4),
    `${measured.p10Ms.toFixed(4)} - ${measured.p90Ms.toFixed(4)}`,
    threeDigits((batch / measured.medianMs) * 1000),
    ratio,
    measured.createMs.toFixed(1),
  ];
  const table = formatTable(PROVIDER_COLUMNS, [
    row(ep, result, '-'),
    ...Object.entries(baselines).map(([label, baseline]) => row(label, baseline, formatRatio(baseline))),
  ]);
  return `${visible(name)}: ${nodes === null ? `on ${ep}` : `nodes: ${formatNodes(nodes)}`}\n${table}`;
}

function formatMeasurement(label: string, measured: Measurement, ratio: string): string[] {
  const { medianMs, p10Ms, p90Ms, gops, createMs, memory } = measured;
  return [
    label,
    medianMs.toFixed(4),
    `${p10Ms.toFixed(4)} - ${p90Ms.toFixed(4)}`,
    threeDigits(gops),
    ratio,
    createMs.toFixed(1),
    ...[memory?.peakMiB, memory?.residentMiB, memory?.privateMiB].map((size) => size?.toFixed(1) ?? '-'),
  ];
}

function formatRatio({ ratio, ratioP10, ratioP90 }: BaselineMeasurement): string {
  return `${threeDigits(ratio)} (${threeDigits(ratioP10)} - ${threeDigits(ratioP90)})`;
}

/** Loading pictures, beside sharp. */
export function formatDataCase(result: DataCase): string {
  const { name, imagesPerSecond, cpuMs, peakMiB, startMiB } = result;
  const { sharp } = result.baselines;
  const spread = `10 to 90 % of the rounds: ${threeDigits(sharp.ratioP10)} to ${threeDigits(sharp.ratioP90)}`;
  return formatPairs([
    ['data', name],
    ['images/s', `${threeDigits(imagesPerSecond)}, as float32 batches`],
    ['sharp alone', `${threeDigits(sharp.imagesPerSecond)} images/s, as bytes`],
    ['ours over sharp', `${threeDigits(sharp.ratio)} (${spread})`],
    [
      'processor time',
      `${threeDigits(cpuMs)} ms a picture, sharp alone ${threeDigits(sharp.cpuMs)} ms: ${threeDigits(sharp.cpuMs / cpuMs)}`,
    ],
    ['peak memory', `${threeDigits(peakMiB)} MiB, ${threeDigits(startMiB)} before`],
  ]);
}
