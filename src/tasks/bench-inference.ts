/** Times layers and networks in onnxruntime: ours, packed, in full precision and in 8-bit integers, in turns. */

import { availableParallelism, cpus } from 'node:os';
import { geometricMean } from '../core/numbers/quantile.ts';
import {
  assertBenchable,
  type BenchCase,
  type CaseRequest,
  kernelRow,
  measureCase,
  measureProviderCase,
  type ProviderCase,
} from '../inference/bench-case.ts';
import {
  type ConvLayer,
  floatChain,
  floatConv,
  int8Conv,
  nameOfConvLayer,
  operationsOf,
  packedChain,
  packedConv,
  parseConvLayer,
} from '../inference/bench-conv-models.ts';
import { onnxruntimeVersion, precisionNote } from '../inference/provider.ts';
import type { ProviderChoice } from '../inference/session.ts';
import { createModelCase, type ModelCase } from './bench-model.ts';
import { VERSION } from './version.ts';

/** The four 3×3 stages of a ResNet-18. */
export const CONV_SHAPES = '64@56,128@28,256@14,512@7';
export const INFERENCE_ROUNDS = 20;

/** Processor, versions, threads and rounds, in words. */
export type BenchMachine = Readonly<Record<string, string>>;

export interface InferenceBenchOptions<Case = BenchCase> {
  /** Pictures per run; [1] unless told. */
  readonly batch?: readonly number[] | undefined;
  /** 1 unless told; 0 for all of this machine. */
  readonly threads?: number | undefined;
  /** Turns of each variant; `INFERENCE_ROUNDS` unless told. */
  readonly rounds?: number | undefined;
  /** Runs in each turn; as many as take 20 ms unless told. */
  readonly repetitions?: number | undefined;
  /** False leaves out the measurement of memory, a process for each variant. */
  readonly memory?: boolean | undefined;
  /** Forces an instruction set for the rest of the process, as BNN_KERNEL does. */
  readonly kernel?: string | undefined;
  readonly onStart?: ((machine: BenchMachine) => void) | undefined;
  readonly onNote?: ((note: string) => void) | undefined;
  readonly onRound?: ((name: string, done: number, total: number) => void) | undefined;
  readonly onCase?: ((result: Case) => void) | undefined;
}

export interface ConvBenchOptions extends InferenceBenchOptions {
  /** Layers as channels@size, e.g. `256@14,64-128@56k1s2`; `CONV_SHAPES` unless told. */
  readonly shapes?: string | undefined;
  /** As many of each behind one another, with bits in between; 1 unless told. */
  readonly layers?: number | undefined;
}

export interface ModelBenchOptions<Case = BenchCase> extends InferenceBenchOptions<Case> {
  /** Full-precision twin: a network of the zoo or an ONNX file; that of the network's name unless told. */
  readonly twin?: string | undefined;
  /** Ours with the stem by Winograd's filtering; off unless told. */
  readonly fastStem?: boolean | undefined;
}

export interface InferenceBench {
  readonly machine: BenchMachine;
  readonly cases: readonly BenchCase[];
  /** Speed of ours by that of each baseline: geometric mean over the cases that have it. */
  readonly meanRatios: Readonly<Record<string, number>>;
}

/**
 * Times single convolution layers.
 *
 * @throws {BnnError} E_USAGE for shapes or kernels that there are not; E_BACKEND where the native parts are not built.
 */
export function benchConv(options: ConvBenchOptions = {}): Promise<InferenceBench> {
  return measureCases(options, async () => convRequests(options));
}

/**
 * Times a whole network beside its full-precision twin.
 *
 * @param source  an ONNX file or a run folder; a latent model is packed first.
 * @throws {BnnError} as `createModelCase`; E_BACKEND where the native parts are not built.
 */
export function benchModel(source: string, options: ModelBenchOptions = {}): Promise<InferenceBench> {
  return measureCases(options, () => modelRequests(source, options));
}

/**
 * Times a network on an execution provider, its twin there, and the network on the CPU.
 *
 * @throws {BnnError} as `benchModel`, and E_BACKEND where a node did not run on the provider.
 */
export async function benchModelOn(
  provider: ProviderChoice,
  source: string,
  options: Omit<ModelBenchOptions<ProviderCase>, 'kernel' | 'memory' | 'fastStem'> = {},
): Promise<Pick<InferenceBench, 'machine'> & { readonly cases: readonly ProviderCase[] }> {
  const { rounds = INFERENCE_ROUNDS, repetitions, onRound, onCase } = options;
  const threads = threadsOf(options);
  const machine = describeRun(threads, rounds);
  options.onStart?.(machine);
  const precision = precisionNote(provider.ep ?? 'cpu');
  if (precision !== undefined) options.onNote?.(precision);
  const cases: ProviderCase[] = [];
  for (const request of await modelRequests(source, options, provider)) {
    const result = await measureProviderCase(request, {
      threads,
      rounds,
      repetitions,
      onRound: (done, total) => onRound?.(request.name, done, total),
    });
    cases.push(result);
    onCase?.(result);
  }
  return { machine, cases };
}

async function measureCases(
  options: InferenceBenchOptions,
  prepare: () => Promise<CaseRequest[]>,
): Promise<InferenceBench> {
  const { rounds = INFERENCE_ROUNDS, repetitions, memory = true, kernel, onRound, onCase } = options;
  assertBenchable();
  if (kernel !== undefined) forceKernel(kernel);
  const threads = threadsOf(options);
  const requests = await prepare();
  const machine = describeRun(threads, rounds);
  options.onStart?.(machine);
  const cases: BenchCase[] = [];
  for (const request of requests) {
    const result = await measureCase(request, {
      threads,
      rounds,
      repetitions,
      memory,
      onRound: (done, total) => onRound?.(request.name, done, total),
    });
    cases.push(result);
    onCase?.(result);
  }
  return { machine, cases, meanRatios: meanRatios(cases) };
}

function threadsOf({ threads = 1 }: Pick<InferenceBenchOptions, 'threads'>): number {
  return threads === 0 ? availableParallelism() : threads;
}

function convRequests({
  shapes = CONV_SHAPES,
  batch: batches = [1],
  layers: count = 1,
}: ConvBenchOptions): CaseRequest[] {
  const layers = shapes.split(',').flatMap((text) => batches.map((batch) => parseConvLayer(text.trim(), batch)));
  return layers.map((layer) => {
    if (count > 1) return chainRequest(layer, count);
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

function chainRequest(layer: ConvLayer, count: number): CaseRequest {
  const packed = packedChain(layer, count);
  const operations = operationsOf(layer) * count;
  return {
    name: `${count} × ${nameOfConvLayer(layer)}, bits in between`,
    variants: [
      { name: 'ours', ops: true, ...packed },
      { name: 'stock-packed', ops: false, ...packed },
      { name: 'stock-fp32', ops: false, ...floatChain(layer, count) },
    ],
    operations,
    binaryOperations: operations,
  };
}

async function modelRequests(
  source: string,
  { batch: batches = [1], twin, fastStem, onNote }: Pick<ModelBenchOptions, 'batch' | 'twin' | 'fastStem' | 'onNote'>,
  provider?: ProviderChoice,
): Promise<ModelCase['request'][]> {
  const cases: ModelCase[] = [];
  for (const batch of batches) cases.push(await createModelCase(source, batch, { twin, provider, fastStem }));
  for (const note of new Set(cases.flatMap(({ notes }) => notes))) onNote?.(note);
  return cases.map(({ request }) => request);
}

/** Must come before the library is loaded: it reads the variable when its first kernel is chosen. */
function forceKernel(name: string): void {
  kernelRow(name);
  process.env['BNN_KERNEL'] = name;
}

function describeRun(threads: number, rounds: number): BenchMachine {
  return {
    processor: `${cpus()[0]?.model.trim() || process.arch}, ${availableParallelism()} threads`,
    versions: `bnn-toolchain ${VERSION}, onnxruntime ${onnxruntimeVersion()}, node ${process.versions.node}`,
    threads: String(threads),
    rounds: String(rounds),
  };
}

function meanRatios(cases: readonly BenchCase[]): Readonly<Record<string, number>> {
  const names = new Set(cases.flatMap(({ baselines }) => Object.keys(baselines)));
  return Object.fromEntries(
    Array.from(names, (name) => [name, geometricMean(cases.flatMap(({ baselines }) => baselines[name]?.ratio ?? []))]),
  );
}
