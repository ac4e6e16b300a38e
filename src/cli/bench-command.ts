/** `bnn-bench`. */

import { availableParallelism, cpus } from 'node:os';
import { Argument, Command, Option } from 'commander';
import { BACKEND_NAMES, type BackendName } from '../backends/backend-names.ts';
import { BnnError } from '../errors.ts';
import {
  assertBenchable,
  type BenchCase,
  type CaseRequest,
  kernelRow,
  measureCase,
  measureProviderCase,
} from '../inference/bench-case.ts';
import {
  floatConv,
  int8Conv,
  nameOfConvLayer,
  operationsOf,
  packedConv,
  parseConvLayer,
} from '../inference/bench-conv-models.ts';
import { onnxruntimeVersion } from '../inference/provider.ts';
import type { ProviderChoice } from '../inference/session.ts';
import { threeDigits } from '../report/format.ts';
import { formatPairs } from '../report/table.ts';
import { ESTIMATORS, type EstimatorName } from '../training/recipe.ts';
import { createModelCase, type ModelCase } from './bench-model.ts';
import { formatCase, formatProviderCase, meanRatios } from './bench-report.ts';
import {
  ADVANCED,
  addExamples,
  addGeneralOptions,
  COMMON,
  type GeneralOptions,
  MOST_THREADS,
  terminalOf,
  wholeNumber,
  wholeNumbers,
} from './options.ts';
import {
  addAdvancedProviderOptions,
  addProviderOption,
  type ProviderFlags,
  providerChoiceOf,
} from './provider-flags.ts';
import type { Terminal } from './terminal.ts';
import { VERSION } from './version.ts';

const SUBJECTS = ['conv', 'model', 'train', 'data'] as const;
type Subject = (typeof SUBJECTS)[number];

interface BenchOptions extends GeneralOptions, ProviderFlags {
  readonly shapes: string;
  readonly batch?: readonly number[];
  readonly twin?: string;
  readonly model: string;
  readonly backend: BackendName;
  readonly estimator: EstimatorName;
  readonly steps: number;
  readonly profile?: string | true;
  readonly dataset: string;
  readonly data?: string;
  readonly images: number;
  readonly rounds?: number;
  readonly repetitions?: number;
  readonly memory: boolean;
  readonly kernel?: string;
}

/** The four stages of a ResNet-18. */
const SHAPES = '64@56,128@28,256@14,512@7';
const ROUNDS = 20;
const TRAIN_ROUNDS = 5;
const TRAIN_BATCH = 128;
const DATA_ROUNDS = 5;
const DATA_BATCH = 64;
/** That of weights alone has no gradient for activations. */
const BENCH_ESTIMATORS = ESTIMATORS.filter((name) => name !== 'adaste');
const TRACE_FILE = 'bnn-train-trace.json';

export function createBenchCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Measures our kernels against stock onnxruntime on the same file, on the full-precision twin and in 8-bit integers, and training against PyTorch where the variable BNN_PYTHON names a Python that has it, and decoding pictures against a plain loop over sharp. One run takes turns between them: time, memory, ratio.',
    )
    .addArgument(
      new Argument(
        '<what>',
        'single convolution layers, a whole network, training one, or the pictures for it',
      ).choices(SUBJECTS),
    )
    .argument('[model]', 'for model: an ONNX file written by bnn-export, or a run folder')
    .optionsGroup(COMMON)
    .option('--shapes <list>', 'for conv: layers as channels@size, see the examples', SHAPES)
    .option(
      '--batch <list>',
      `pictures per run; for model and conv also several, e.g. 1,8,64 (default: 1; for train ${TRAIN_BATCH}, for data ${DATA_BATCH})`,
      wholeNumbers(1),
    )
    .option('--twin <name>', 'for model: full-precision twin, a network of the zoo or an ONNX file')
    .option('--model <name>', 'for train: network of the zoo', 'resnet20')
    .option('--dataset <name>', 'for data: imagenet, webdataset or image-folder', 'imagenet')
    .option('--data <folder>', 'for data: where it lies')
    .option('--profile [file]', `for train: a table of kernels, and a Chrome trace (default: ${TRACE_FILE})`)
    .option(
      '--threads <n>',
      `threads; 0 = all ${availableParallelism()} of this machine (default: 1; for train 0)`,
      wholeNumber(0, MOST_THREADS),
    );
  addProviderOption(command)
    .optionsGroup(ADVANCED)
    .option(
      '--rounds <n>',
      `turns of each variant (default: ${ROUNDS}; for train ${TRAIN_ROUNDS}, for data ${DATA_ROUNDS})`,
      wholeNumber(1),
    )
    .option('--steps <n>', 'for train: steps in each turn', wholeNumber(1), 5)
    .option('--images <n>', 'for data: pictures in each turn', wholeNumber(1), 500)
    .addOption(
      new Option('--estimator <name>', 'for train: gradient of sign').choices(BENCH_ESTIMATORS).default('reste'),
    )
    .addOption(new Option('--backend <name>', 'for train: where to compute').choices(BACKEND_NAMES).default('native'))
    .option('--repetitions <n>', 'runs in each turn (default: as many as take 20 ms)', wholeNumber(1))
    .option(
      '--kernel <name>',
      'force an instruction set, as BNN_KERNEL does: avx512vpopcntdq, avx512, avx2, neon, scalar',
    )
    .option('--no-memory', 'leave out the measurement of memory, a process for each variant');
  addAdvancedProviderOptions(command);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-bench conv', '3×3 layers of a ResNet-18'],
    ['bnn-bench conv --shapes 256@14,64-128@56k1s2 --threads 2', 'other layers: 1×1 with stride 2, 64 to 128 channels'],
    ['bnn-bench model net.onnx --batch 8 --json', 'a whole network, for a script'],
    ['bnn-bench model net.onnx --ep webgpu --batch 1,8,64', 'a network on a GPU, and on the CPU beside it'],
    ['bnn-bench data --data ~/imagenet', 'reading, decoding and cropping pictures'],
    ['bnn-bench train --model resnet20 --profile', 'training steps, and where their time goes'],
  ]).action((what: Subject, model: string | undefined, options: BenchOptions) => runBench(what, model, options));
}

async function runBench(what: Subject, model: string | undefined, options: BenchOptions): Promise<void> {
  const terminal = terminalOf(options);
  if (what !== 'model' && options.ep !== 'cpu') {
    throw new BnnError('E_USAGE', `--ep is for model, not for ${what}`, {
      hint: `bnn-bench model net.onnx --ep ${options.ep}`,
    });
  }
  if (what === 'train') return runTrain(model, options, terminal);
  if (what === 'data') return runData(model, options, terminal);
  if ((what === 'model') !== (model !== undefined)) {
    const found = model === undefined ? 'no model given' : `conv takes no file, but "${model}" was given`;
    throw new BnnError('E_USAGE', found, { hint: 'bnn-bench conv, or bnn-bench model net.onnx' });
  }
  const provider = providerChoiceOf(options);
  if (model !== undefined && provider.ep !== 'cpu') return runOnProvider(model, provider, options, terminal);
  assertBenchable();
  if (options.kernel !== undefined) forceKernel(options.kernel);
  const threads = options.threads === 0 ? availableParallelism() : (options.threads ?? 1);
  const requests = model === undefined ? convRequests(options) : await modelRequests(model, options, terminal);
  const machine = describeRun(threads, options);
  terminal.result(formatPairs(machine));
  const cases: BenchCase[] = [];
  for (const request of requests) {
    const result = await measureCase(request, {
      threads,
      rounds: options.rounds ?? ROUNDS,
      repetitions: options.repetitions,
      memory: options.memory,
      onRound: (done, total) => terminal.live(() => `${request.name}: round ${done} of ${total}`),
    });
    terminal.clearLive();
    cases.push(result);
    terminal.event('case', result);
    terminal.result(`\n${formatCase(result)}`);
  }
  const ratios = meanRatios(cases);
  terminal.event('result', { cases: cases.length, meanRatios: ratios, machine: Object.fromEntries(machine) });
  if (cases.length > 1) {
    const means = Object.entries(ratios).map(([name, ratio]) => `${threeDigits(ratio)} of ${name}`);
    terminal.result(`\nspeed of ours, geometric mean over ${cases.length} cases: ${means.join(', ')}`);
  }
}

/** The first run of each session fails where a node did not run on the provider. */
async function runOnProvider(
  model: string,
  provider: ProviderChoice,
  options: BenchOptions,
  terminal: Terminal,
): Promise<void> {
  const threads = options.threads === 0 ? availableParallelism() : (options.threads ?? 1);
  const { rounds = ROUNDS, repetitions } = options;
  const machine = describeRun(threads, options);
  terminal.result(formatPairs(machine));
  const requests = await modelRequests(model, options, terminal, provider);
  for (const request of requests) {
    const result = await measureProviderCase(request, {
      threads,
      rounds,
      repetitions,
      onRound: (done, total) => terminal.live(() => `${request.name}: round ${done} of ${total}`),
    });
    terminal.clearLive();
    terminal.event('case', result);
    terminal.result(`\n${formatProviderCase(result)}`);
  }
  terminal.event('result', { cases: requests.length, machine: Object.fromEntries(machine) });
}

async function runTrain(file: string | undefined, options: BenchOptions, terminal: Terminal): Promise<void> {
  if (file !== undefined) {
    throw new BnnError('E_USAGE', `train takes no file, but "${file}" was given`, {
      hint: 'name a network of the zoo: bnn-bench train --model resnet20',
    });
  }
  // Loaded here: the other subjects must not wait for TensorFlow.js.
  const { benchTrain } = await import('./bench-train.ts');
  const batch = oneBatch('train', options, TRAIN_BATCH);
  const { threads = 0, rounds = TRAIN_ROUNDS, profile, kernel } = options;
  if (kernel !== undefined) process.env['BNN_KERNEL'] = kernel;
  const { model, backend, estimator, steps } = options;
  const trace = profile === true ? TRACE_FILE : profile;
  const request = { model, batch, threads, backend, estimator, rounds, steps, profile: trace };
  const result = await benchTrain(request, terminal);
  terminal.event('case', result);
  const { imagesPerSecond, peakMiB, baselines } = result;
  terminal.event('result', { cases: 1, imagesPerSecond, peakMiB, ratio: baselines.pytorch?.ratio ?? null });
}

async function runData(file: string | undefined, options: BenchOptions, terminal: Terminal): Promise<void> {
  if (file !== undefined) {
    throw new BnnError('E_USAGE', `data takes no file, but "${file}" was given`, {
      hint: `bnn-bench data --data ${file}`,
    });
  }
  const { benchDataset } = await import('./bench-data.ts');
  const batch = oneBatch('data', options, DATA_BATCH);
  const { dataset, data, images, rounds = DATA_ROUNDS } = options;
  const cases = await benchDataset({ dataset, data, batch, rounds, images }, terminal);
  const ratios = Object.fromEntries(cases.map(({ name, baselines }) => [name, baselines.sharp.ratio]));
  terminal.event('result', { cases: cases.length, ratios });
}

function oneBatch(what: Subject, { batch: [batch, ...others] = [] }: BenchOptions, otherwise: number): number {
  if (others.length === 0) return batch ?? otherwise;
  throw new BnnError('E_USAGE', `${what} takes one batch size, but several were given`, { hint: `--batch ${batch}` });
}

function convRequests({ shapes, batch: batches = [1] }: BenchOptions): CaseRequest[] {
  const layers = shapes.split(',').flatMap((text) => batches.map((batch) => parseConvLayer(text.trim(), batch)));
  return layers.map((layer) => {
    const packed = packedConv(layer);
    const operations = operationsOf(layer);
    return {
      name: nameOfConvLayer(layer),
      variants: [
        { name: 'ours', ops: true, ...packed },
        { name: 'stock-packed', ops: false, ...packed },
        { name: 'stock-fp32', ops: false, ...floatConv(layer) },
        { name: 'stock-int8', ops: false, ...int8Conv(layer) },
      ],
      operations,
      binaryOperations: operations,
    };
  });
}

async function modelRequests(model: string, options: BenchOptions, terminal: Terminal, provider?: ProviderChoice) {
  const cases: ModelCase[] = [];
  for (const batch of options.batch ?? [1]) cases.push(await createModelCase(model, batch, options.twin, provider));
  for (const note of new Set(cases.flatMap(({ notes }) => notes))) terminal.note(`note: ${note}`);
  return cases.map(({ request }) => request);
}

/** Must come before the library is loaded: it reads the variable when its first kernel is chosen. */
function forceKernel(name: string): void {
  kernelRow(name);
  process.env['BNN_KERNEL'] = name;
}

function describeRun(threads: number, { rounds = ROUNDS }: BenchOptions): readonly (readonly [string, string])[] {
  return [
    ['processor', `${cpus()[0]?.model.trim() || process.arch}, ${availableParallelism()} threads`],
    ['versions', `bnn-toolchain ${VERSION}, onnxruntime ${onnxruntimeVersion()}, node ${process.versions.node}`],
    ['threads', String(threads)],
    ['rounds', String(rounds)],
  ];
}
