/** `bnn-export`. */

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { Command, Option } from 'commander';
import { lowerToPacked } from '../compiler/lower-to-packed.ts';
import type { CompileReport } from '../compiler/report.ts';
import { writeFileAtomic } from '../core/atomic-file-io.ts';
import { DATASET_NAMES } from '../data/load-dataset.ts';
import { NORMALIZATIONS } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import type { SessionMemory } from '../inference/measure-sessions-io.ts';
import { CHECKPOINTS, type CheckpointName, findModel } from '../inference/model-source-io.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readModel } from '../onnx/model-io.ts';
import { addBnnFunctions } from '../operators/registry.ts';
import { LAYER_VARIANTS } from '../operators/variants.ts';
import { shareEqualConstants } from '../rewriting/equal-constants.ts';
import { exportInt8, type Int8Export, type Int8Facts, type Int8Options } from './export-int8.ts';
import {
  type ExportFacts,
  formatExplanation,
  formatExport,
  formatVerification,
  type Verification,
} from './export-report.ts';
import { ADVANCED, addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from './options.ts';
import { assertWritable, freeFile } from './output-file.ts';
import { EXIT_FAILED } from './print-error.ts';
import { refuseUnused } from './unused-options.ts';
import { VERSION } from './version.ts';

interface ExportOptions extends GeneralOptions, Pick<Int8Options, 'dataset' | 'data' | 'normalize'> {
  readonly output?: string;
  readonly form: 'packed' | 'latent';
  readonly checkpoint?: CheckpointName;
  readonly explain?: boolean;
  readonly verify?: boolean;
  readonly memory?: boolean;
  readonly keepFloat?: readonly string[];
  readonly int8?: boolean;
}

export function createExportCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Writes a network as an ONNX file. In the packed form each binary weight takes one bit, and the file carries what a stock onnxruntime needs to run it.',
    )
    .argument('<source>', 'a run folder, or an ONNX file in latent form')
    .optionsGroup(COMMON)
    .option('-o, --output <file>', 'the ONNX file to write')
    .addOption(new Option('--form <form>', 'form of the result').choices(['packed', 'latent']).default('packed'))
    .option('--verify', 'run both forms in onnxruntime on random pictures; nothing is written when they differ')
    .option('--explain', 'list every layer with its sizes, and every rewrite that did not apply, with the reason')
    .option(
      '--int8',
      'the first convolution in 8-bit integers, where that is faster (stride 2 on large pictures); its results are rounded, with ranges from training pictures',
    )
    .option('--data <folder>', 'with --int8: folder or archive of the data set, unless the run knows it')
    .option('--memory', 'with --explain: measure what sessions of the packed form take in memory, too')
    .optionsGroup(ADVANCED)
    .option('--dataset <name>', `with --int8: data set, unless the file knows it: ${DATASET_NAMES.join(', ')}`)
    .addOption(
      new Option('--normalize <how>', 'with --int8: statistics for the pixels, instead of what the file says').choices(
        NORMALIZATIONS,
      ),
    )
    .option('--keep-float <pattern...>', 'leave layers of these names in float; * and ? are wildcards')
    .addOption(
      new Option(
        '--checkpoint <name>',
        'of a run: last, or best when pictures were held out for choosing it; a best chosen by the test pictures would flatter its test accuracy',
      ).choices(CHECKPOINTS),
    );
  addGeneralOptions(command);
  return addExamples(command, [
    ['bnn-export runs/mnist -o mnist.onnx --verify', 'pack a trained network, and make sure that nothing changed'],
    ["bnn-export runs/mnist -o mnist.onnx --explain --keep-float 'conv2'", 'see why a layer stays float'],
    ['bnn-export runs/mnist -o mnist-float.onnx --form latent', 'the form for fine-tuning and for other tools'],
  ]).action((source: string, options: ExportOptions) => runExport(source, options));
}

async function runExport(source: string, options: ExportOptions): Promise<void> {
  const terminal = terminalOf(options);
  const { output, form } = options;
  if (output === undefined || output === '') {
    throw new BnnError('E_USAGE', 'no output file given', { hint: `add -o ${freeFile('model')}` });
  }
  if (form === 'latent' && (options.keepFloat ?? []).length > 0) {
    throw new BnnError('E_USAGE', '--keep-float is about packing, but --form is latent', {
      hint: 'leave one of them out',
    });
  }
  assertInt8Options(options);
  if (options.memory === true && options.explain !== true) {
    throw new BnnError('E_USAGE', '--memory is given without --explain', { hint: 'add --explain' });
  }
  const runs = [options.verify, options.memory, options.int8].includes(true);
  refuseUnused(
    'packing alone',
    { '--threads': options.threads !== undefined && !runs },
    'add --verify, or leave it out',
  );
  const begin = performance.now();
  const found = await findModel(source, options.checkpoint);
  await assertWritable(output, found.path);
  const latent = await readModel(found.path);
  assertNotPacked(latent, found.path);
  const latentBytes = latentBytesOf(latent);
  const packed = lowerToPacked(latent, { keepFloat: options.keepFloat ?? [] });
  const int8 = options.int8 === true ? await exportInt8(packed.model, packed.report, found, { ...options }) : undefined;
  const { model, report } = int8 ?? packed;
  const result = form === 'packed' ? model : latent;
  result.producerVersion = VERSION;
  const bytes = encodeModel(result);
  const comparison = options.verify === true ? await verify(bytes, packed.model, latentBytes, int8, options) : null;
  const measured = options.memory === true ? await measure(model, options) : undefined;
  if (options.explain === true) {
    const packedBytes = form === 'packed' ? bytes.length : encodeModel(model).length;
    terminal.result(formatExplanation(report, { sourceBytes: latentBytes.length, packedBytes }, measured));
  }
  if (comparison?.passed === false || comparison?.int8?.passed === false) {
    terminal.event('result', { file: null, verification: comparison });
    terminal.result(formatVerification(comparison));
    terminal.error('nothing was written: the two forms differ');
    process.exitCode = EXIT_FAILED;
    return;
  }
  await writeFileAtomic(output, bytes);
  const facts: ExportFacts = {
    file: output,
    source: found.path,
    form,
    bytes: (await stat(output)).size,
    float32Bytes: latentBytes.byteLength,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    seconds: (performance.now() - begin) / 1000,
  };
  terminal.event('result', resultEvent(facts, report, comparison, options.explain === true, measured, int8?.facts));
  terminal.result(formatExport(facts, report, comparison, int8?.facts));
}

function assertInt8Options({ int8, form, dataset, data, normalize }: ExportOptions): void {
  if (int8 === true && form === 'latent') {
    throw new BnnError('E_USAGE', '--int8 is about the packed form, but --form is latent', {
      hint: 'leave one of them out',
    });
  }
  if (int8 !== true && (dataset ?? data ?? normalize) !== undefined) {
    throw new BnnError('E_USAGE', '--dataset, --data and --normalize are for --int8, which is not given', {
      hint: 'add --int8, or leave them out',
    });
  }
}

/** The packed form against the latent one, and what is rounded to 8-bit integers against the packed form in float. */
async function verify(
  bytes: Uint8Array,
  packed: Model,
  latentBytes: Uint8Array,
  int8: Int8Export | undefined,
  { threads, verbose }: ExportOptions,
): Promise<Verification> {
  const { compareForms, compareDecisions } = await import('../inference/compare-forms.ts');
  const packedBytes = encodeModel(packed);
  const comparison = await compareForms(packedBytes, latentBytes, { threads, verbose });
  if (int8 === undefined) return comparison;
  return { ...comparison, int8: await compareDecisions(bytes, packedBytes, int8.compared, { threads, verbose }) };
}

function resultEvent(
  facts: ExportFacts,
  report: CompileReport,
  comparison: Verification | null,
  explain: boolean,
  memory: SessionMemory | null | undefined,
  int8: Int8Facts | undefined,
): object {
  const { binaryLayers, weightOnlyLayers, floatLayers } = report;
  return {
    ...facts,
    compression: facts.float32Bytes / facts.bytes,
    binaryLayers,
    weightOnlyLayers,
    floatLayers,
    float: report.layers.filter(({ outcome }) => outcome === 'float').map(({ name }) => name),
    ...(int8 === undefined ? {} : { int8 }),
    verification: comparison,
    ...(explain
      ? { layers: report.layers, rest: report.rest, sizes: report.sizes, memory, misses: report.misses }
      : {}),
  };
}

async function measure(model: Model, { threads }: ExportOptions): Promise<SessionMemory | null> {
  const { measureSessions } = await import('../inference/measure-sessions-io.ts');
  return measureSessions(model, threads);
}

/** The latent file as stock runtimes can read it. */
function latentBytesOf(latent: Model): Uint8Array {
  shareEqualConstants(latent.graph);
  addBnnFunctions(latent);
  return encodeModel(latent);
}

function assertNotPacked(model: Model, at: string): void {
  for (const node of model.graph.nodes()) {
    if (node.domain !== 'bnn' || !LAYER_VARIANTS.has(node.op)) continue;
    throw new BnnError('E_UNSUPPORTED', `the model is in packed form already: it has ${node.describe()}`, {
      at,
      hint: 'give the run folder or the latent file that it was made from',
    });
  }
}
