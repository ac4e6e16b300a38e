/** `bnn-inspect`. */

import { Command } from 'commander';
import type { OutputForm, PictureForm, Preprocessing } from '../../core/pictures/preprocessing.ts';
import { formatShape, formatType } from '../../graph/format-type.ts';
import type { Value } from '../../graph/graph.ts';
import { printModel } from '../../graph/print.ts';
import { formatBytes, formatCount, formatPercent } from '../../report/format.ts';
import { type Column, formatPairs, formatTable } from '../../report/table.ts';
import { visible } from '../../report/visible-text.ts';
import { type CheckpointInspection, inspectFile, type ModelInspection } from '../../tasks/inspect-file.ts';
import type { LayerSummary, ModelSummary } from '../../tasks/model-summary.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { refuseUnused } from '../unused-options.ts';

const LISTED_CLASSES = 6;
const FIT_WORDS = { squash: 'each side by its own ratio', pad: 'the whole picture on black' };

interface InspectOptions extends GeneralOptions {
  readonly graph?: boolean;
}

export function createInspectCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Shows the layers of a model: shapes, parameters of one bit and of 32, size, and binary and float multiply-adds for one picture. Any ONNX file will do; of a checkpoint (.pt, .pth, .safetensors, .h5, .keras), the tensors are listed.',
    )
    .argument('<model>', 'an ONNX file, a run folder, or a checkpoint of PyTorch or Keras')
    .optionsGroup(COMMON)
    .option('--graph', 'print the whole graph as text instead');
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-inspect mnist.onnx', 'where the bits and the work are'],
    ['bnn-inspect runs/mnist', 'the same for the last checkpoint of a run'],
    ['bnn-inspect mnist.onnx --graph', 'every node with its types and attributes'],
  ]).action((model: string, options: InspectOptions) => runInspect(model, options));
}

async function runInspect(source: string, options: InspectOptions): Promise<void> {
  const terminal = terminalOf(options);
  const found = await inspectFile(source);
  if (found.kind === 'checkpoint') {
    refuseUnused('a checkpoint, which has no graph', { '--graph': options.graph === true }, 'leave it out');
    return printCheckpoint(found, terminal);
  }
  const { kind: _, model, ...facts } = found;
  const graph = options.graph === true ? printModel(model, { data: 'summary' }) : undefined;
  terminal.event('result', {
    ...facts,
    irVersion: model.irVersion,
    opsets: Object.fromEntries(model.opsets),
    metadata: Object.fromEntries(model.metadata),
    ...(graph === undefined ? {} : { graph }),
  });
  if (graph === undefined) terminal.result(formatInspection(found));
  else terminal.raw(graph.trimEnd());
}

/** Lists the tensors of a checkpoint, those of Keras under the names that a mapping uses. */
function printCheckpoint({ kind: _, ...facts }: CheckpointInspection, terminal: Terminal): void {
  terminal.event('result', facts);
  const lines = facts.tensors.map(({ name, dtype, shape, path: stored, stored: storedShape }) => {
    const text = `${name}  ${dtype}[${shape.join(', ')}]`;
    return visible(stored === undefined ? text : `${text}  from ${stored} [${storedShape?.join(', ')}]`);
  });
  terminal.result(lines.join('\n'));
}

interface SummaryColumn extends Column {
  readonly cell: (layer: LayerSummary) => string;
  readonly total?: (summary: ModelSummary) => string;
}

/** A column of counts, in layers and in all. */
function counts(title: string, count: (item: LayerSummary | ModelSummary) => number | null): SummaryColumn {
  return { title, align: 'right', cell: (layer) => formatCount(count(layer)), total: (all) => formatCount(count(all)) };
}

/** One of parameters for each number of bits that some take; those of 1 and 32 always. */
function parameterColumns(summary: ModelSummary): SummaryColumn[] {
  const widths = new Set([1, 32, ...Object.keys(summary.parameters).map(Number)]);
  return [...widths]
    .sort((a, b) => a - b)
    .map((bits) => counts(`${bits}-bit params`, ({ parameters }) => parameters[bits] ?? 0));
}

const columnsOf = (summary: ModelSummary): readonly SummaryColumn[] => [
  { title: 'layer', cell: ({ name }) => name, total: () => 'total' },
  { title: 'operator', cell: ({ op }) => op },
  { title: 'input -> output', cell: ({ input, output }) => `${formatShape(input)} -> ${formatShape(output)}` },
  { title: 'bits', align: 'right', cell: ({ weightBits }) => (weightBits === null ? '-' : String(weightBits)) },
  ...parameterColumns(summary),
  {
    title: 'kB',
    align: 'right',
    cell: ({ bytes }) => (bytes / 1000).toFixed(2),
    total: ({ parameterBytes }) => (parameterBytes / 1000).toFixed(2),
  },
  counts('binary MACs', ({ binaryMacs }) => binaryMacs),
  counts('float MACs', ({ floatMacs }) => floatMacs),
];

function formatInspection(summary: ModelInspection): string {
  const { file, fileBytes, model, layers, parameterBytes, float32Bytes, compression, binaryShare } = summary;
  const columns = columnsOf(summary);
  const table = formatTable(
    columns,
    layers.map((layer) => columns.map(({ cell }) => cell(layer))),
    [columns.map(({ total }) => total?.(summary) ?? '')],
  );
  const opsets = Array.from(model.opsets, ([domain, version]) => `${domain || 'onnx'} ${version}`).join(', ');
  const facts: [string, string][] = [
    ['file', `${file}  ${formatBytes(fileBytes)}`],
    ['form', `${summary.form}, IR version ${model.irVersion}, operator sets ${opsets}`],
    ['input', describeValues(model.graph.inputs)],
    ['output', describeValues(model.graph.outputs)],
    [
      'parameters',
      `${formatCount(float32Bytes / 4)}: ${formatBytes(parameterBytes)} with one bit for each binary weight, ${formatBytes(float32Bytes)} in float32`,
    ],
  ];
  if (compression !== null)
    facts.push(['compression', `${compression.toFixed(1)} (parameters in float32 against this file)`]);
  if (binaryShare !== null) facts.push(['binary work', `${formatPercent(binaryShare, 1)} of the multiply-adds`]);
  if (summary.unknownLayers.length > 0) {
    facts.push(['not counted', `multiply-adds of ${summary.unknownLayers.join(', ')}: unknown shapes`]);
  }
  facts.push(...describePictures(summary.preprocessing));
  return `${table}\n\n${formatPairs(facts)}`;
}

const OUTPUT_WORDS: Readonly<Record<OutputForm, string>> = {
  logits: 'logits',
  probabilities: 'probabilities',
  signed: 'y for a probability of (1 + y) / 2',
};

/** What the file says of its pictures, and of its classes. */
function describePictures(preprocessing: Preprocessing | null): [string, string][] {
  if (preprocessing === null) return [['pictures', 'the file does not say how they are prepared']];
  const { dataset, picture, mean, std, classes, output } = preprocessing;
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(4))).join(', ');
  const form = picture === null ? 'no size or fit: written by an earlier version' : formatForm(picture);
  const names = classes.slice(0, LISTED_CLASSES).join(', ') + (classes.length > LISTED_CLASSES ? ', …' : '');
  return [
    ['pictures', form],
    ['normalized', `(pixel / 255 - mean) / std, mean ${list(mean)}, std ${list(std)}`],
    ['trained on', dataset],
    ['classes', visible(classes.length === 0 ? 'no names' : `${classes.length}: ${names}`)],
    ...(output === undefined ? [] : ([['numbers given', OUTPUT_WORDS[output]]] satisfies [string, string][])),
  ];
}

function formatForm({ width, height, fit, shorterSide, filter, channelOrder, layout }: PictureForm): string {
  const how = fit === 'crop' ? `shorter side to ${shorterSide}, middle cut out` : FIT_WORDS[fit];
  return `${width}x${height} ${channelOrder}, ${fit} (${how}), ${filter} filter, ${layout}`;
}

/** `x float32[1, 3, 32, 32]`-like facts of inputs and outputs for the head of the report. */
function describeValues(values: readonly Value[]): string {
  return values.map((value) => `${value.name} ${formatType(value)}`).join(', ');
}
