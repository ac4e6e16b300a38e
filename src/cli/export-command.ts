/** `bnn-export`. */

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { Command, Option } from 'commander';
import { lowerToPacked } from '../compiler/lower-to-packed.ts';
import type { CompileReport } from '../compiler/report.ts';
import { writeFileAtomic } from '../core/atomic-file-io.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import type { Comparison } from '../inference/compare-forms.ts';
import type { SessionMemory } from '../inference/measure-sessions-io.ts';
import { CHECKPOINTS, type CheckpointName, findModel } from '../inference/model-source-io.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readModel } from '../onnx/model-io.ts';
import { addBnnFunctions } from '../operators/registry.ts';
import { LAYER_VARIANTS } from '../operators/variants.ts';
import { type ExportFacts, formatComparison, formatExplanation, formatExport } from './export-report.ts';
import { ADVANCED, addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from './options.ts';
import { assertWritable } from './output-file.ts';
import { EXIT_FAILED } from './print-error.ts';
import { VERSION } from './version.ts';

interface ExportOptions extends GeneralOptions {
  readonly output?: string;
  readonly form: 'packed' | 'latent';
  readonly checkpoint?: CheckpointName;
  readonly explain?: boolean;
  readonly verify?: boolean;
  readonly memory?: boolean;
  readonly keepFloat?: readonly string[];
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
    .option('--memory', 'with --explain: measure what sessions of the packed form take in memory, too')
    .optionsGroup(ADVANCED)
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
    throw new BnnError('E_USAGE', 'no output file given', { hint: 'add -o model.onnx' });
  }
  if (form === 'latent' && (options.keepFloat ?? []).length > 0) {
    throw new BnnError('E_USAGE', '--keep-float is about packing, but --form is latent', {
      hint: 'leave one of them out',
    });
  }
  if (options.memory === true && options.explain !== true) {
    throw new BnnError('E_USAGE', '--memory is given without --explain', { hint: 'add --explain' });
  }
  const begin = performance.now();
  const found = await findModel(source, options.checkpoint);
  await assertWritable(output, found.path);
  const latent = await readModel(found.path);
  assertNotPacked(latent, found.path);
  const latentBytes = latentBytesOf(latent);
  const { model, report } = lowerToPacked(latent, { keepFloat: options.keepFloat ?? [] });
  const result = form === 'packed' ? model : latent;
  result.producerVersion = VERSION;
  const bytes = encodeModel(result);
  let comparison: Comparison | null = null;
  if (options.verify === true) {
    const { compareForms } = await import('../inference/compare-forms.ts');
    const other = form === 'packed' ? latentBytes : encodeModel(model);
    comparison = await compareForms(bytes, other, { threads: options.threads, verbose: options.verbose });
  }
  const measured = options.memory === true ? await measure(model, options) : undefined;
  if (options.explain === true) {
    const packedBytes = form === 'packed' ? bytes.length : encodeModel(model).length;
    terminal.result(formatExplanation(report, { sourceBytes: latentBytes.length, packedBytes }, measured));
  }
  if (comparison?.passed === false) {
    terminal.event('result', { file: null, verification: comparison });
    terminal.result(formatComparison(comparison));
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
  terminal.event('result', resultEvent(facts, report, comparison, options.explain === true, measured));
  terminal.result(formatExport(facts, report, comparison));
}

function resultEvent(
  facts: ExportFacts,
  report: CompileReport,
  comparison: Comparison | null,
  explain: boolean,
  memory: SessionMemory | null | undefined,
): object {
  const { binaryLayers, weightOnlyLayers, floatLayers } = report;
  return {
    ...facts,
    compression: facts.float32Bytes / facts.bytes,
    binaryLayers,
    weightOnlyLayers,
    floatLayers,
    float: report.layers.filter(({ outcome }) => outcome === 'float').map(({ name }) => name),
    verification: comparison,
    ...(explain ? { layers: report.layers, sizes: report.sizes, memory, misses: report.misses } : {}),
  };
}

async function measure(model: Model, { threads }: ExportOptions): Promise<SessionMemory | null> {
  const { measureSessions } = await import('../inference/measure-sessions-io.ts');
  return measureSessions(model, threads);
}

/** The latent file as stock runtimes can read it. */
function latentBytesOf(latent: Model): Uint8Array {
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
