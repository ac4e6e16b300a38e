/** Speed and memory of training steps, and PyTorch beside them where it is installed. */

import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { BackendName } from '../backends/backends.ts';
import { explainOutOfMemory, isOutOfMemory } from '../backends/out-of-memory.ts';
import { precisionOf, type WantedPrecision } from '../backends/precision.ts';
import { selectBackend } from '../backends/select-backend.ts';
import type { TimedCommand } from '../backends/step-recorder.ts';
import { median } from '../core/numbers/quantile.ts';
import type { Communicator } from '../distributed/communicator.ts';
import { threadsOf } from '../distributed/share-cores.ts';
import { BnnError } from '../errors.ts';
import type { EstimatorName } from '../estimators/table.ts';
import type { TrainingPrecision } from '../kernels/convolution.ts';
import { type Phase, TrainingBench, type TrainingRound } from '../training/learning/bench-training.ts';
import { buildModel } from '../zoo/zoo.ts';
import { type BenchPlan, benchTogether, type TogetherCase } from './bench-together.ts';
import { summarizeModel } from './model-summary.ts';
import {
  PYTORCH_FORMS,
  type PytorchForm,
  type PytorchNetwork,
  PytorchProcess,
  type PytorchRound,
} from './pytorch-process-io.ts';

export interface TrainBenchRequest {
  /** Network of the zoo. */
  readonly model: string;
  /** Pictures per step; 128 unless told. */
  readonly batch?: number | undefined;
  /** 0 (unless told): all of this machine. */
  readonly threads?: number | undefined;
  /** `native` unless told. */
  readonly backend?: BackendName | undefined;
  /** `reste` unless told. */
  readonly estimator?: EstimatorName | undefined;
  /** `float32` unless told, as in training. */
  readonly precision?: WantedPrecision | undefined;
  /** Turns of each variant; 5 unless told. */
  readonly rounds?: number | undefined;
  /** Steps of a round; 5 unless told. */
  readonly steps?: number | undefined;
  /** Forces an instruction set for the rest of the process, as BNN_KERNEL does. */
  readonly kernel?: string | undefined;
  /** Also measures every command of a step, where the device can. */
  readonly profile?: boolean | undefined;
  /** Measures the training of all processes together; each calls this with the same. */
  readonly communicator?: Communicator | undefined;
  /** With a communicator: statistics of batch normalization over the whole batch. */
  readonly syncBatchNorm?: boolean | undefined;
  readonly onNote?: ((note: string) => void) | undefined;
  readonly onRound?: ((done: number, total: number) => void) | undefined;
}

export interface TrainCase {
  readonly name: string;
  readonly estimator: EstimatorName;
  /** What the gradients of binary layers are multiplied in. */
  readonly precision: TrainingPrecision;
  readonly backend: string;
  readonly threads: number;
  readonly isa: string | null;
  /** Of a step. */
  readonly medianMs: number;
  readonly imagesPerSecond: number;
  /** Processor time of all threads per step, the least of the rounds: other programs do not count in it. */
  readonly processorMs: number;
  readonly phasesMs: Readonly<Record<Phase, number>>;
  readonly outsideKernelsMs: number | null;
  /** Multiply-adds of forward pass and both gradients, two operations each. */
  readonly gflops: number;
  /** Of what the threads or the GPU can do in registers, measured between the rounds; null where that cannot be measured. */
  readonly peakGflops: number | null;
  readonly peakShare: number | null;
  /** Largest resident size of this process, on a GPU what was allocated there; null where the system does not tell. */
  readonly peakMiB: number | null;
  /** Resident size before the network was built; null on a GPU. */
  readonly startMiB: number | null;
  /** Of several processes; speed and memory above are then those of all, and of process 0. */
  readonly together?: TogetherCase;
  readonly baselines: { readonly pytorch?: PytorchCase };
}

export interface TrainBench extends TrainCase {
  /** The round of the median speed, with its kernels. */
  readonly typicalRound: TrainingRound;
  readonly profile: DeviceProfile | null;
}

/** The commands of one step on a device with a clock. */
export interface DeviceProfile {
  /** In the order in which they run. */
  readonly commands: readonly TimedCommand[];
  /** What the device does at most, measured beside it; null where that cannot be. */
  readonly peakGflops: number | null;
  readonly peakGBs: number | null;
}

/** One round of a form, to find the fastest. */
export interface PytorchTrial extends PytorchForm {
  readonly imagesPerSecond: number;
}

/** In its fastest form. */
export interface PytorchCase extends PytorchForm {
  /** Every form, that one too. */
  readonly trials: readonly PytorchTrial[];
  /** Name of the GPU, or cpu. */
  readonly device: string;
  readonly medianMs: number;
  readonly imagesPerSecond: number;
  /** Above 1 where ours is faster: median over the rounds. */
  readonly ratio: number;
  readonly processorMs: number;
  /** Their processor time divided by ours. */
  readonly processorRatio: number;
  readonly peakMiB: number;
  readonly startMiB: number;
  /** Ours divided by theirs. */
  readonly memoryRatio: number | null;
}

const WARM_UP_STEPS = 3;
/** That of tools/bench/pytorch_resnet.py. */
const PYTORCH_ESTIMATOR = 'reste';

/**
 * Times training steps of one network, in turns with PyTorch where the variable BNN_PYTHON names a Python that has it.
 *
 * @throws {BnnError} what selecting the backend and building the network throw.
 */
export async function benchTrain(request: TrainBenchRequest): Promise<TrainBench> {
  const { model, batch = 128, backend: name = 'native', estimator = 'reste', rounds = 5, steps = 5, kernel } = request;
  if (kernel !== undefined) process.env['BNN_KERNEL'] = kernel;
  const threads =
    request.threads || (request.communicator && threadsOf(request.communicator)) || availableParallelism();
  const backend = await selectBackend(name, { threads });
  const precision = precisionOf(request.precision ?? 'float32', backend);
  const { deviceMemory } = backend.capabilities;
  const startMiB = deviceMemory ? null : resetPeak();
  const plan = { model, batch, estimator, precision, rounds, steps, threads, backend };
  const { communicator } = request;
  const together = communicator && (await benchTogether({ ...plan, communicator }, request));
  const { ours, theirs, trials, peaks, commands, peakGBs } =
    together === undefined ? await measureRounds(plan, request) : { ...together.rounds, commands: null, peakGBs: null };
  const typicalRound = medianRound(ours);
  const { imagesPerSecond } = typicalRound;
  const { binaryMacs, floatMacs } = summarizeModel(buildModel(model, { seed: 1 }));
  const gflops = (6 * (binaryMacs + floatMacs) * imagesPerSecond) / 1e9;
  const peakGflops = peaks.some(Number.isFinite) ? Math.max(...peaks.filter(Number.isFinite)) : null;
  const peakMiB = deviceMemory ? backend.memory().peakBytes / 2 ** 20 : memoryMiB('VmHWM');
  return {
    name: `${model} batch ${batch}`,
    estimator,
    precision,
    backend: backend.name,
    threads: backend.threads,
    isa: backend.isa,
    medianMs: (1000 * batch) / imagesPerSecond,
    imagesPerSecond,
    processorMs: leastProcessorMs(ours),
    phasesMs: typicalRound.phasesMs,
    outsideKernelsMs: typicalRound.outsideKernelsMs,
    gflops,
    peakGflops,
    peakShare: peakGflops === null ? null : gflops / peakGflops,
    peakMiB,
    startMiB,
    ...(together && { together: together.case }),
    baselines: theirs.length === 0 ? {} : { pytorch: comparePytorch(ours, theirs, trials, batch, peakMiB) },
    typicalRound,
    profile: commands === null ? null : { commands, peakGflops, peakGBs },
  };
}

type Listeners = Pick<TrainBenchRequest, 'onNote' | 'onRound' | 'profile'>;

interface Rounds {
  readonly ours: readonly TrainingRound[];
  readonly theirs: readonly PytorchRound[];
  readonly trials: readonly PytorchTrial[];
  readonly peaks: readonly number[];
  readonly commands: readonly TimedCommand[] | null;
  readonly peakGBs: number | null;
}

async function measureRounds(
  { model, batch, estimator, precision, rounds, steps, threads, backend }: BenchPlan,
  { onNote, onRound, profile }: Listeners,
): Promise<Rounds> {
  const measure = async (size: number, work: (bench: TrainingBench) => Promise<void>): Promise<void> => {
    const bench = new TrainingBench({ model, batch: size, backend, estimator, precision });
    try {
      await work(bench);
    } finally {
      await bench.close();
    }
  };
  const ours: TrainingRound[] = [];
  const theirs: PytorchRound[] = [];
  const peaks: number[] = [];
  let commands: TimedCommand[] | null = null;
  const peakGBs = profile === true ? ((await backend.bandwidthPeak?.()) ?? null) : null;
  const pytorch = await startPytorch({ model, batch, threads, gpu: backend.isGpu }, estimator, steps, onNote);
  try {
    await measure(batch, async (bench) => {
      await bench.round(WARM_UP_STEPS);
      for (let round = 1; round <= rounds; round++) {
        onRound?.(round, rounds);
        peaks.push((await backend.multiplyAddPeak?.()) ?? Number.NaN);
        ours.push(await bench.round(steps));
        if (pytorch !== null) theirs.push(await pytorch.process.round(steps));
      }
      if (profile === true) commands = await bench.profile();
    });
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    const attempt = (size: number) => measure(size, async (bench) => void (await bench.round(1)));
    throw await explainOutOfMemory(error, batch, attempt, '--batch');
  } finally {
    pytorch?.process.close();
  }
  return { ours, theirs, trials: pytorch?.trials ?? [], peaks, commands, peakGBs };
}

interface FastestPytorch {
  readonly process: PytorchProcess;
  /** The fastest first. */
  readonly trials: readonly PytorchTrial[];
}

/** PyTorch in its fastest form, warmed up; null, and a note why, where it cannot be measured. */
async function startPytorch(
  network: Omit<PytorchNetwork, 'python'>,
  estimator: EstimatorName,
  steps: number,
  onNote: Listeners['onNote'],
): Promise<FastestPytorch | null> {
  const skip = (reason: string): null => {
    onNote?.(`PyTorch is not measured: ${reason}`);
    return null;
  };
  const python = process.env['BNN_PYTHON'];
  if (estimator !== PYTORCH_ESTIMATOR) return skip(`its networks use ${PYTORCH_ESTIMATOR}`);
  if (!python) return skip('BNN_PYTHON names no interpreter');
  const running = new Map<PytorchTrial, PytorchProcess>();
  try {
    for (const form of PYTORCH_FORMS) {
      const started = PytorchProcess.start({ python, ...network }, form);
      if (started === null) return skip('its networks (tools/bench) are not part of this installation');
      try {
        await started.round(WARM_UP_STEPS);
        const { imagesPerSecond } = await started.round(steps);
        running.set({ ...form, imagesPerSecond }, started);
      } catch (error) {
        started.close();
        throw error;
      }
    }
  } catch (error) {
    for (const started of running.values()) started.close();
    if (!(error instanceof BnnError)) throw error;
    return skip(`${python}: ${error.message}`);
  }
  const [fastest, ...others] = [...running].sort(([a], [b]) => b.imagesPerSecond - a.imagesPerSecond);
  if (fastest === undefined) throw new Error('internal: no forms');
  for (const [, started] of others) started.close();
  return { process: fastest[1], trials: [fastest, ...others].map(([trial]) => trial) };
}

function comparePytorch(
  ours: readonly TrainingRound[],
  theirs: readonly PytorchRound[],
  trials: readonly PytorchTrial[],
  batch: number,
  peakMiB: number | null,
): PytorchCase {
  const [fastest] = trials;
  if (fastest === undefined) throw new Error('internal: PyTorch was measured in no form');
  const imagesPerSecond = median(theirs.map((round) => round.imagesPerSecond));
  const ratios = theirs.map((round, i) => (ours[i]?.imagesPerSecond ?? Number.NaN) / round.imagesPerSecond);
  const peak = Math.max(...theirs.map((round) => round.peakMiB));
  return {
    precision: fastest.precision,
    channelsLast: fastest.channelsLast,
    trials,
    device: theirs[0]?.device ?? 'cpu',
    medianMs: (1000 * batch) / imagesPerSecond,
    imagesPerSecond,
    ratio: median(ratios),
    processorMs: leastProcessorMs(theirs),
    processorRatio: leastProcessorMs(theirs) / leastProcessorMs(ours),
    peakMiB: peak,
    startMiB: theirs[0]?.startMiB ?? Number.NaN,
    memoryRatio: peakMiB === null ? null : peakMiB / peak,
  };
}

function leastProcessorMs(rounds: readonly { readonly processorMs: number }[]): number {
  return Math.min(...rounds.map((round) => round.processorMs));
}

/** The round of the median speed; with an even number, the slower of the middle two. */
function medianRound(rounds: readonly TrainingRound[]): TrainingRound {
  const sorted = [...rounds].sort((a, b) => a.imagesPerSecond - b.imagesPerSecond);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error('internal: no rounds');
  return middle;
}

/** Sets the high-water mark of this process back to its present size, which is returned. */
function resetPeak(): number | null {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Then the mark includes what came before.
  }
  return memoryMiB('VmRSS');
}

function memoryMiB(field: string): number | null {
  try {
    const kilobytes = new RegExp(`${field}:\\s*(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) / 1024;
  } catch {
    return null;
  }
}
