/** `bnn-export`. */

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { Command, Option } from 'commander';
import type { CompileReport } from '../../compiler/report.ts';
import { writeFileAtomic } from '../../core/files/atomic-file-io.ts';
import { DATASET_NAMES } from '../../data/load-dataset.ts';
import { NORMALIZATIONS } from '../../data/normalization.ts';
import { BnnError } from '../../errors.ts';
import type { SessionMemory } from '../../inference/measure-sessions-io.ts';
import { CHECKPOINTS, type CheckpointName, findModel } from '../../inference/model-source-io.ts';
import { visible } from '../../report/visible-text.ts';
import { writeDescription } from '../../tasks/description-file.ts';
import type { Int8Facts, Int8Options } from '../../tasks/export-int8.ts';
import { exportModel, type ModelForm, type Verification } from '../../tasks/export-model.ts';
import { assertKept, assertWritable, freeFile, weightsOf } from '../../tasks/output-file.ts';
import { ADVANCED, addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';
import { addPluginOption } from '../plugin-options.ts';
import { EXIT_FAILED } from '../print-error.ts';
import { refuseUnused } from '../unused-options.ts';
import { type ExportFacts, formatExplanation, formatExport, formatVerification } from './export-report.ts';

interface ExportOptions extends GeneralOptions, Pick<Int8Options, 'dataset' | 'data' | 'normalize'> {
  readonly output?: string;
  readonly form: ModelForm;
  readonly checkpoint?: CheckpointName;
  readonly explain?: boolean;
  readonly verify?: boolean;
  readonly memory?: boolean;
  readonly keepFloat?: readonly string[];
  readonly int8?: boolean;
  readonly plugin?: readonly string[];
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
  addPluginOption(command, 'with --int8: a module with the data set, where it is your own');
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
  await assertKept([output], [{ what: 'the data', path: options.data }]);
  const exported = await exportModel(found, { ...options, plugins: options.plugin });
  await assertKept([output], weightsOf(found.path, exported.externalFiles));
  const { bytes, report, verification, memory } = exported;
  const int8 = exported.int8 ?? undefined;
  if (options.explain === true) {
    const { float32Bytes: sourceBytes, packedBytes } = exported;
    terminal.result(formatExplanation(report, { sourceBytes, packedBytes }, memory));
  }
  if (verification !== null && exported.isDifferent) {
    terminal.event('result', { file: null, verification });
    terminal.result(formatVerification(verification));
    terminal.error('nothing was written: the two forms differ');
    process.exitCode = EXIT_FAILED;
    return;
  }
  await writeFileAtomic(output, bytes);
  const description = await writeDescription(output, exported.preprocessing);
  if (description.note !== undefined) terminal.note(`note: ${visible(description.note)}`);
  const facts: ExportFacts = {
    file: output,
    description: description.file,
    source: exported.source,
    form,
    bytes: (await stat(output)).size,
    float32Bytes: exported.float32Bytes,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    seconds: (performance.now() - begin) / 1000,
  };
  terminal.event('result', resultEvent(facts, report, verification, options.explain === true, memory, int8));
  terminal.result(formatExport(facts, report, verification, int8));
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

function resultEvent(
  facts: ExportFacts,
  report: CompileReport,
  verification: Verification | null,
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
    verification,
    ...(explain
      ? { layers: report.layers, rest: report.rest, sizes: report.sizes, memory, misses: report.misses }
      : {}),
  };
}
