/** `bnn-bench`. */

import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { Command, Option } from 'commander';
import { BACKEND_NAMES, type BackendName, canBackend } from '../../backends/backends.ts';
import { PRECISIONS, type WantedPrecision } from '../../backends/precision.ts';
import { nearest } from '../../core/nearest.ts';
import type { Communicator } from '../../distributed/communicator.ts';
import { isFollower } from '../../distributed/launcher.ts';
import { MOST_THREADS as MOST_WEB_THREADS } from '../../engine/engine-threads.ts';
import { BnnError, fromSystemError } from '../../errors.ts';
import { type EstimatorName, estimatorsFor } from '../../estimators/table.ts';
import { threeDigits } from '../../report/format.ts';
import { formatPairs } from '../../report/table.ts';
import { visible } from '../../report/visible-text.ts';
import {
  type BenchMachine,
  benchConv,
  benchModel,
  benchModelOn,
  CONV_SHAPES,
  INFERENCE_ROUNDS,
  type InferenceBench,
} from '../../tasks/bench-inference.ts';
import type { DeviceProfile } from '../../tasks/bench-train.ts';
import { assertFolder } from '../../tasks/output-file.ts';
import { VERSION } from '../../tasks/version.ts';
import type { TrainingRound } from '../../training/bench-training.ts';
import {
  ADVANCED,
  addExamples,
  addGeneralOptions,
  addProgramOptions,
  COMMON,
  type GeneralOptions,
  MOST_THREADS,
  terminalOf,
  wholeNumber,
  wholeNumbers,
} from '../options.ts';
import { withProcesses } from '../processes.ts';
import {
  addAdvancedProviderOptions,
  addProviderOption,
  type ProviderFlags,
  providerChoiceOf,
} from '../provider-flags.ts';
import type { Terminal } from '../terminal.ts';
import { refuseUnused } from '../unused-options.ts';
import { nameOf } from '../usage-error.ts';
import { formatCase, formatDataCase, formatProviderCase } from './bench-report.ts';

/** Of `conv` and `model`. */
interface InferenceBenchOptions extends GeneralOptions {
  readonly batch?: readonly number[];
  readonly rounds?: number;
  readonly repetitions?: number;
  readonly memory: boolean;
  readonly kernel?: string;
}

interface ConvBenchOptions extends InferenceBenchOptions {
  readonly shapes: string;
  readonly layers: number;
}

interface ModelBenchOptions extends InferenceBenchOptions, ProviderFlags {
  readonly twin?: string;
}

interface TrainBenchOptions extends GeneralOptions {
  readonly batch: number;
  readonly rounds: number;
  readonly steps: number;
  readonly model: string;
  readonly backend: BackendName;
  readonly estimator: EstimatorName;
  readonly precision: WantedPrecision;
  readonly profile?: string | true;
  readonly kernel?: string;
  readonly syncBatchNorm?: boolean;
}

interface WebBenchOptions extends GeneralOptions {
  readonly networks: string;
  readonly shapes: string;
  readonly rounds: number;
  readonly loads: number;
  readonly browser?: string;
}

interface DataBenchOptions extends GeneralOptions {
  readonly batch: number;
  readonly rounds: number;
  readonly images: number;
  readonly dataset: string;
  readonly data?: string;
}

/** That of weights alone has no gradient for activations. */
const BENCH_ESTIMATORS = estimatorsFor('activation');
const TRACE_FILE = 'bnn-train-trace.json';

export function createBenchCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Measures our kernels against stock onnxruntime on the same file, on the full-precision twin and in 8-bit integers, and training against PyTorch where the variable BNN_PYTHON names a Python that has it, decoding pictures against a plain loop over sharp, and our runtime for browsers against onnxruntime-web. One run takes turns between them: time, memory, ratio.',
    )
    .usage('<command> [options]')
    .argument('[what]')
    .helpCommand(false);
  for (const create of [createConvBench, createModelBench, createTrainBench, createDataBench, createWebBench])
    command.addCommand(create());
  addProgramOptions(command);
  return addExamples(command, [
    ['bnn-bench conv', '3×3 layers of a ResNet-18'],
    ['bnn-bench model net.onnx --batch 8 --json', 'a whole network, for a script'],
    ['bnn-bench train --model resnet20 --profile', 'training steps, and where their time goes'],
    ['bnn-bench data --data ~/imagenet', 'reading, decoding and cropping pictures'],
    ['bnn-bench web', 'networks and layers in a browser'],
  ]).action((what: string | undefined) => {
    const subjects = command.commands.map((sub) => sub.name());
    const near = what === undefined ? undefined : nearest(what, subjects);
    throw new BnnError('E_USAGE', what === undefined ? 'nothing to measure is given' : `unknown subject '${what}'`, {
      hint: near === undefined ? `one of ${subjects.join(', ')}` : `did you mean ${near}?`,
    });
  });
}

function createConvBench(): Command {
  const command = new Command('conv')
    .description(
      'Measures single convolution layers in onnxruntime: ours, packed, in full precision and in 8-bit integers.',
    )
    .optionsGroup(COMMON)
    .option('--shapes <list>', 'layers as channels@size, see the examples', CONV_SHAPES)
    .option('--layers <n>', 'as many of each behind one another, with bits in between', wholeNumber(1), 1);
  addInferenceOptions(command);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-bench conv', '3×3 layers of a ResNet-18'],
    ['bnn-bench conv --layers 16', 'binary layers between binary layers: bits in, bits out'],
    ['bnn-bench conv --shapes 256@14,64-128@56k1s2 --threads 2', 'other layers: 1×1 with stride 2, 64 to 128 channels'],
  ]).action((options: ConvBenchOptions) => runConv(options));
}

function createModelBench(): Command {
  const command = new Command('model')
    .description('Measures a whole network in onnxruntime beside its full-precision twin.')
    .argument('<model>', 'an ONNX file written by bnn-export, or a run folder')
    .optionsGroup(COMMON)
    .option('--twin <name>', 'full-precision twin, a network of the zoo or an ONNX file');
  addProviderOption(command);
  addInferenceOptions(command);
  addAdvancedProviderOptions(command);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-bench model net.onnx --batch 8 --json', 'a whole network, for a script'],
    ['bnn-bench model net.onnx --ep webgpu --batch 1,8,64', 'a network on a GPU, and on the CPU beside it'],
  ]).action((model: string, options: ModelBenchOptions) => runModel(model, options));
}

function createTrainBench(): Command {
  const command = new Command('train')
    .description(
      'Measures training steps: speed, memory and where the time goes, beside PyTorch where it is installed.',
    )
    .optionsGroup(COMMON)
    .option('--model <name>', 'network of the zoo', 'resnet20')
    .option('--batch <n>', 'pictures per step, of all processes together', wholeNumber(1), 128)
    .option('--profile [file]', `a table of kernels, and a Chrome trace (default: ${TRACE_FILE})`)
    .option('--threads <n>', threadsHelp(0), wholeNumber(0, MOST_THREADS))
    .optionsGroup(ADVANCED)
    .option('--rounds <n>', 'turns of each variant', wholeNumber(1), 5)
    .option('--steps <n>', 'steps in each turn', wholeNumber(1), 5)
    .option(
      '--sync-batch-norm',
      'of several processes (mpirun): statistics of batch normalization over the whole batch',
    )
    .addOption(new Option('--estimator <name>', 'gradient of sign').choices(BENCH_ESTIMATORS).default('reste'))
    .addOption(new Option('--backend <name>', 'where to compute').choices(BACKEND_NAMES).default('native'))
    .addOption(
      new Option('--precision <name>', 'what gradients of layers with binary weights are multiplied in')
        .choices(PRECISIONS)
        .default('float32'),
    )
    .option('--kernel <name>', KERNEL_HELP);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-bench train --model resnet20 --profile', 'training steps, and where their time goes'],
    ['mpirun -n 4 bnn-bench train --model resnet20', 'four processes together: speed, waiting, bytes, efficiency'],
  ]).action((options: TrainBenchOptions) => runTrain(command, options));
}

function createDataBench(): Command {
  const command = new Command('data')
    .description('Measures reading, decoding and cropping pictures beside a plain loop over sharp.')
    .optionsGroup(COMMON)
    .option('--dataset <name>', 'imagenet, webdataset or image-folder', 'imagenet')
    .option('--data <folder>', 'where it lies')
    .option('--batch <n>', 'pictures per batch', wholeNumber(1), 64)
    .optionsGroup(ADVANCED)
    .option('--rounds <n>', 'turns of each variant', wholeNumber(1), 5)
    .option('--images <n>', 'pictures in each turn', wholeNumber(1), 500);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [['bnn-bench data --data ~/imagenet', 'reading, decoding and cropping pictures']]).action(
    (options: DataBenchOptions) => runData(options),
  );
}

function createWebBench(): Command {
  const command = new Command('web')
    .description(
      'Measures networks and layers in a browser without a window, on our WebAssembly runtime and on onnxruntime-web, with as many threads: time, the first result from an empty page, bytes downloaded. Needs Chromium and the packages playwright-core and onnxruntime-web.',
    )
    .optionsGroup(COMMON)
    .option('--networks <list>', 'networks of the zoo; none leaves them out', 'resnet20,resnet18')
    .option('--shapes <list>', 'layers as of bnn-bench conv; none leaves them out', CONV_SHAPES)
    .option('--threads <n>', threadsHelp(1), wholeNumber(0, MOST_WEB_THREADS))
    .option('--browser <path>', 'the browser (default: the Chromium of this machine)')
    .optionsGroup(ADVANCED)
    .option('--rounds <n>', 'turns of each variant', wholeNumber(1), INFERENCE_ROUNDS)
    .option('--loads <n>', 'loads of each variant in a new browser context', wholeNumber(1), 7);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-bench web', 'ResNet-20, ResNet-18 and the 3×3 layers of a ResNet-18'],
    ['bnn-bench web --networks resnet20 --shapes none --threads 2 --json', 'one network on two threads, for a script'],
  ]).action((options: WebBenchOptions) => runWeb(options));
}

const KERNEL_HELP =
  'force an instruction set, as BNN_KERNEL does: avx512bf16, avx512vpopcntdq, avx512, avx2, neon, scalar';

function threadsHelp(otherwise: number): string {
  return `threads; 0 = all ${availableParallelism()} of this machine (default: ${otherwise})`;
}

function addInferenceOptions(command: Command): void {
  command
    .option('--batch <list>', 'pictures per run, also several, e.g. 1,8,64 (default: 1)', wholeNumbers(1))
    .option('--threads <n>', threadsHelp(1), wholeNumber(0, MOST_THREADS))
    .optionsGroup(ADVANCED)
    .option('--rounds <n>', `turns of each variant (default: ${INFERENCE_ROUNDS})`, wholeNumber(1))
    .option('--repetitions <n>', 'runs in each turn (default: as many as take 20 ms)', wholeNumber(1))
    .option('--kernel <name>', KERNEL_HELP)
    .option('--no-memory', 'leave out the measurement of memory, a process for each variant');
}

async function runConv(options: ConvBenchOptions): Promise<void> {
  const terminal = terminalOf(options);
  printCases(await benchConv({ ...options, ...listeners(terminal, formatCase) }), terminal);
}

async function runModel(model: string, options: ModelBenchOptions): Promise<void> {
  const terminal = terminalOf(options);
  const provider = providerChoiceOf(options);
  if (provider.ep === 'cpu') {
    printCases(await benchModel(model, { ...options, ...listeners(terminal, formatCase) }), terminal);
    return;
  }
  refuseUnused(`--ep ${options.ep}`, { '--kernel': options.kernel !== undefined, '--no-memory': !options.memory });
  const result = await benchModelOn(provider, model, { ...options, ...listeners(terminal, formatProviderCase) });
  terminal.event('result', { cases: result.cases.length, machine: result.machine });
}

/** What is printed while cases are measured. */
function listeners<Case extends object>(terminal: Terminal, format: (result: Case) => string) {
  return {
    onStart: (machine: BenchMachine) => terminal.result(formatPairs(Object.entries(machine))),
    onNote: (note: string) => terminal.note(`note: ${visible(note)}`),
    onRound: (name: string, done: number, total: number) => terminal.live(() => `${name}: round ${done} of ${total}`),
    onCase: (result: Case) => {
      terminal.clearLive();
      terminal.event('case', result);
      terminal.result(`\n${format(result)}`);
    },
  };
}

function printCases({ cases, meanRatios, machine }: InferenceBench, terminal: Terminal): void {
  terminal.event('result', { cases: cases.length, meanRatios, machine });
  if (cases.length < 2) return;
  const means = Object.entries(meanRatios).map(([name, ratio]) => `${threeDigits(ratio)} of ${name}`);
  terminal.result(`\nspeed of ours, geometric mean over ${cases.length} cases: ${means.join(', ')}`);
}

function runTrain(command: Command, options: TrainBenchOptions): Promise<void> {
  const terminal = terminalOf(options);
  return withProcesses(nameOf(command), terminal, (communicator) => measure(command, options, terminal, communicator));
}

async function measure(
  command: Command,
  options: TrainBenchOptions,
  terminal: Terminal,
  communicator: Communicator | undefined,
): Promise<void> {
  const { model, batch, backend, estimator, precision, rounds, steps, threads = 0, profile, kernel } = options;
  refuseUnused(`--backend ${backend}`, {
    '--kernel': kernel !== undefined && !canBackend(backend, 'kernelChoice'),
    '--threads': options.threads !== undefined && !canBackend(backend, 'threads'),
  });
  refuseUnused(`the network ${model}, which has no sign`, {
    '--estimator': model.endsWith('-fp') && command.getOptionValueSource('estimator') === 'cli',
  });
  const trace = profile === true ? TRACE_FILE : profile;
  if (trace !== undefined) await assertFolder(trace);
  // Loaded here: the other subjects must not wait for TensorFlow.js.
  const { benchTrain } = await import('../../tasks/bench-train.ts');
  const {
    typicalRound,
    profile: commands,
    ...result
  } = await benchTrain({
    ...{
      model,
      batch,
      threads,
      backend,
      estimator,
      precision,
      rounds,
      steps,
      kernel,
      communicator,
      profile: trace !== undefined,
    },
    syncBatchNorm: options.syncBatchNorm,
    onNote: (note) => terminal.note(`note: ${visible(note)}`),
    onRound: (done, total) => terminal.live(() => `${model}: round ${done} of ${total}`),
  }).finally(() => terminal.clearLive());
  if (trace !== undefined && !isFollower()) await writeProfile(trace, typicalRound, commands, terminal);
  const { formatTrainCase } = await import('./bench-train-report.ts');
  terminal.result(`\n${formatTrainCase(result)}`);
  terminal.event('case', result);
  const { imagesPerSecond, peakMiB, baselines } = result;
  terminal.event('result', { cases: 1, imagesPerSecond, peakMiB, ratio: baselines.pytorch?.ratio ?? null });
}

async function writeProfile(
  path: string,
  round: TrainingRound,
  profile: DeviceProfile | null,
  terminal: Terminal,
): Promise<void> {
  const { formatCalls, toChromeTrace } = await import('./bench-train-report.ts');
  if (profile !== null) {
    const { formatDeviceProfile, summarizeCommands } = await import('./device-profile-report.ts');
    terminal.event('profile', summarizeCommands(profile));
    terminal.result(`\n${formatDeviceProfile(profile)}`);
  } else if (round.calls.length === 0) {
    terminal.note('note: no table of kernels: this backend runs them asynchronously, and its device has no clock');
  } else {
    terminal.result(`\n${formatCalls(round)}`);
  }
  try {
    await writeFile(path, toChromeTrace(round, profile?.commands));
  } catch (error) {
    throw fromSystemError(error, 'write the trace', path);
  }
  terminal.note(`wrote ${visible(path)}, open it in chrome://tracing or ui.perfetto.dev`);
}

async function runData(options: DataBenchOptions): Promise<void> {
  const terminal = terminalOf(options);
  const { benchData } = await import('../../tasks/bench-data.ts');
  const { dataset, data, batch, images, rounds } = options;
  const cases = await benchData({
    ...{ dataset, data, batch, rounds, images },
    onNote: (note) => terminal.note(`note: ${note}`),
    onRound: (name, done, total) => terminal.live(() => `${name}: round ${done} of ${total}`),
    onCase: (result) => {
      terminal.clearLive();
      terminal.event('case', result);
      terminal.result(`\n${formatDataCase(result)}`);
    },
  });
  const ratios = Object.fromEntries(cases.map(({ name, baselines }) => [name, baselines.sharp.ratio]));
  terminal.event('result', { cases: cases.length, ratios });
}

async function runWeb(options: WebBenchOptions): Promise<void> {
  const terminal = terminalOf(options);
  const { rounds, loads, browser } = options;
  const threads = options.threads === 0 ? Math.min(availableParallelism(), MOST_WEB_THREADS) : (options.threads ?? 1);
  const [networks, layers] = [options.networks, options.shapes].map((list) =>
    list === 'none' ? [] : list.split(',').map((part) => part.trim()),
  );
  const { benchWeb } = await import('../../tasks/bench-web.ts');
  const { formatFirst, formatWebCase, meanLayerRatios } = await import('./bench-web-report.ts');
  const result = await benchWeb({
    networks: networks ?? [],
    layers: layers ?? [],
    threads,
    rounds,
    loads,
    browser,
    onRound: (name, done, total) => terminal.live(() => `${name}: round ${done} of ${total}`),
    onCase: (one) => {
      terminal.clearLive();
      terminal.event('case', one);
      terminal.result(`${one.kind === 'first-result' ? formatFirst(one) : formatWebCase(one)}\n`);
    },
  });
  const ratios = meanLayerRatios(result.cases);
  const machine = [
    ['processor', `${cpus()[0]?.model.trim() || process.arch}, ${threads} thread${threads === 1 ? '' : 's'}`],
    ['browser', result.browser],
    ['versions', `bnn-toolchain ${VERSION}, onnxruntime-web ${result.onnxruntime}`],
    ...Object.entries(ratios).map(([name, ratio]) => ['layers, geometric mean', `${threeDigits(ratio)} of ${name}`]),
  ] as const;
  terminal.result(formatPairs(machine as readonly (readonly [string, string])[]));
  const { browser: program, onnxruntime, cases } = result;
  terminal.event('result', { cases: cases.length, meanLayerRatios: ratios, threads, browser: program, onnxruntime });
}
