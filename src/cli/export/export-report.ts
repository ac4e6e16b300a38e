/** What `bnn-export` prints. */

import { type CompileReport, formatReason, type LayerReport } from '../../compiler/report.ts';
import type { Comparison } from '../../inference/compare-forms.ts';
import type { SessionMemory } from '../../inference/measure-sessions-io.ts';
import { formatBytes, formatDifference, formatPercent, formatSeconds } from '../../report/format.ts';
import { formatPairs, formatTable } from '../../report/table.ts';
import type { Int8Facts } from '../../tasks/export-int8.ts';
import type { ModelForm, Verification } from '../../tasks/export-model.ts';
import {
  type FileSizes,
  isWorthARow,
  restReason,
  SIZE_COLUMNS,
  sizeCells,
  sizeLines,
  totalSizes,
} from '../size-report.ts';

export interface ExportFacts {
  readonly file: string;
  /** What it says of its pictures, as JSON beside it; null where there is none. */
  readonly description: string | null;
  /** The ONNX file that was read. */
  readonly source: string;
  readonly form: ModelForm;
  readonly bytes: number;
  /** Size of the same network with float weights. */
  readonly float32Bytes: number;
  readonly sha256: string;
  readonly seconds: number;
}

const LISTED = 6;

export function formatExport(
  facts: ExportFacts,
  report: CompileReport,
  verification: Verification | null,
  int8?: Int8Facts,
): string {
  const { file, source, form, bytes, float32Bytes, sha256, seconds } = facts;
  const { binaryLayers, weightOnlyLayers } = report;
  const lines: [string, string][] = [['from', source]];
  if (form === 'packed') {
    const weightOnly = weightOnlyLayers === 0 ? '' : `, ${weightOnlyLayers} with binary weights only`;
    lines.push(['layers', `${binaryLayers} binary${weightOnly}, ${floatList(report.layers)}`]);
  }
  if (int8 !== undefined) {
    const { layers, dataset, root, pictures } = int8;
    lines.push(['int8', `${layers.join(', ')}, ranges from ${pictures} training pictures of ${dataset} (${root})`]);
  }
  lines.push(['wrote', `${file}  ${formatBytes(bytes)}  sha256 ${sha256.slice(0, 16)}`]);
  if (facts.description !== null)
    lines.push(['pictures', `${facts.description}  how they are prepared, and class names`]);
  if (form === 'packed') {
    lines.push(['float32', `${formatBytes(float32Bytes)}, ${(float32Bytes / bytes).toFixed(1)} times the size`]);
  }
  if (verification !== null) lines.push(...verificationLines(verification));
  lines.push(['elapsed', formatSeconds(seconds)]);
  return formatPairs(lines);
}

function floatList(layers: readonly LayerReport[]): string {
  const names = layers.filter(({ outcome }) => outcome === 'float').map(({ name }) => name);
  if (names.length === 0) return 'none in float';
  const more = names.length > LISTED ? `, … ${names.length - LISTED} more (see --explain)` : '';
  return `${names.length} in float: ${names.slice(0, LISTED).join(', ')}${more}`;
}

export function formatVerification(verification: Verification): string {
  return formatPairs(verificationLines(verification));
}

function verificationLines(verification: Verification): [string, string][] {
  const { passed, int8 } = verification;
  const lines: [string, string][] = [[passed ? 'verified' : 'differs', comparisonText(verification)]];
  if (int8 === undefined) return lines;
  const share = `same arg-max on ${formatPercent(int8.agreement)} of ${int8.images} training pictures`;
  return [...lines, [int8.passed ? 'rounded' : 'differs', `8-bit integers against float: ${share}`]];
}

function comparisonText({ images, agreement, maxDifference, imagesBeyondTolerance, tolerance }: Comparison): string {
  return `${images} random pictures in onnxruntime: same arg-max ${formatPercent(agreement)}, largest difference ${formatDifference(maxDifference)}, ${imagesBeyondTolerance} beyond ${formatDifference(tolerance)}`;
}

/** Every layer with what became of it, the sizes, then every rewrite that did not apply. */
export function formatExplanation(
  { layers, rest, misses, sizes }: CompileReport,
  files: FileSizes,
  measured?: SessionMemory | null,
): string {
  const restRow = ['other constants', '', '', '', ...sizeCells(rest), restReason(rest)];
  const layerTable = formatTable(
    [
      { title: 'layer' },
      { title: 'was' },
      { title: 'outcome' },
      { title: 'operator' },
      ...SIZE_COLUMNS,
      { title: 'folded, or why not' },
    ],
    layers
      .map((layer) => {
        const { name, source, outcome, operator, folded, reasons } = layer;
        const isPacked = outcome === 'binary' || outcome === 'weight-only';
        const shared = layer.sharedWith === null ? [] : [`the weights of ${layer.sharedWith}`];
        const why = isPacked ? [...folded, ...shared].join(', ') : [...reasons.map(formatReason), ...shared].join('; ');
        return [name, source, outcome, operator, ...sizeCells(layer), why];
      })
      .concat(isWorthARow(rest) ? [restRow] : []),
    [['total', '', '', '', ...sizeCells(totalSizes([...layers, rest]))]],
  );
  const sizeTable = formatPairs(sizeLines(files, sizes, measured));
  const missTable = formatTable(
    [{ title: 'rewrite' }, { title: 'at' }, { title: 'because of' }, { title: 'reason' }],
    misses.map(({ rewrite, node, culprit, reason }) => [rewrite, node, culprit, reason]),
  );
  const head = `${layerTable}\n\n${sizeTable}\n`;
  return misses.length === 0 ? head : `${head}\nrewrites that did not apply\n\n${missTable}\n`;
}
