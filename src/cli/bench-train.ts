/** `bnn-bench train`: speed and memory of training steps, and PyTorch beside them where it is installed. */

import { readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { BackendName } from '../backends/backend-names.ts';
import { explainOutOfMemory, isOutOfMemory } from '../backends/out-of-memory.ts';
import { type SelectedBackend, selectBackend } from '../backends/select-backend.ts';
import { median } from '../core/quantile.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import type { EstimatorName } from '../estimators/table.ts';
import { visible } from '../report/visible-text.ts';
import { summarizeModel } from '../tasks/model-summary.ts';
import { type Phase, TrainingBench, type TrainingRound } from '../training/bench-training.ts';
import { buildModel } from '../zoo/zoo.ts';
import { formatCalls, formatTrainCase, toChromeTrace } from './bench-train-report.ts';
import { PytorchProcess, type PytorchRound } from './pytorch-process-io.ts';
import type { Terminal } from './terminal.ts';

export interface TrainBenchRequest {
  readonly model: string;
  readonly batch: number;
  readonly threads: number;
  readonly backend: BackendName;
  readonly estimator: EstimatorName;
  readonly rounds: number;
  /** Steps of a round. */
  readonly steps: number;
  /** File for a Chrome trace. */
  readonly profile: string | undefined;
}

export interface TrainCase {
  readonly name: string;
  readonly estimator: EstimatorName;
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
  readonly baselines: { readonly pytorch?: PytorchCase };
}

export interface PytorchCase {
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

/** Measures one network. @throws {BnnError} what selecting the backend and building the network throw. */
export async function benchTrain(request: TrainBenchRequest, terminal: Terminal): Promise<TrainCase> {
  const { model, batch } = request;
  const threads = request.threads || availableParallelism();
  const backend = await selectBackend(request.backend, { threads });
  // The memory of a GPU is counted by its backend.
  const startMiB = backend.name === 'webgpu' ? null : resetPeak();
  const { ours, theirs, peaks } = await measureRounds(request, backend, threads, terminal);
  const typical = medianRound(ours);
  const { binaryMacs, floatMacs } = summarizeModel(buildModel(model, { seed: 1 }));
  const gflops = (6 * (binaryMacs + floatMacs) * typical.imagesPerSecond) / 1e9;
  const peakGflops = peaks.some(Number.isFinite) ? Math.max(...peaks.filter(Number.isFinite)) : null;
  const peakMiB = backend.name === 'webgpu' ? backend.memory().peakBytes / 2 ** 20 : memoryMiB('VmHWM');
  const result: TrainCase = {
    name: `${model} batch ${batch}`,
    estimator: request.estimator,
    backend: backend.name,
    threads: backend.threads,
    isa: backend.isa,
    medianMs: (1000 * batch) / typical.imagesPerSecond,
    imagesPerSecond: typical.imagesPerSecond,
    processorMs: leastProcessorMs(ours),
    phasesMs: typical.phasesMs,
    outsideKernelsMs: typical.outsideKernelsMs,
    gflops,
    peakGflops,
    peakShare: peakGflops === null ? null : gflops / peakGflops,
    peakMiB,
    startMiB,
    baselines: theirs.length === 0 ? {} : { pytorch: comparePytorch(ours, theirs, batch, peakMiB) },
  };
  if (request.profile !== undefined) await writeProfile(request.profile, typical, terminal);
  terminal.result(`\n${formatTrainCase(result)}`);
  return result;
}

interface Rounds {
  readonly ours: readonly TrainingRound[];
  readonly theirs: readonly PytorchRound[];
  readonly peaks: readonly number[];
}

async function measureRounds(
  { model, batch, estimator, rounds, steps }: TrainBenchRequest,
  backend: SelectedBackend,
  threads: number,
  terminal: Terminal,
): Promise<Rounds> {
  const measure = async (size: number, work: (bench: TrainingBench) => Promise<void>): Promise<void> => {
    const bench = new TrainingBench({ model, batch: size, backend, estimator });
    try {
      await work(bench);
    } finally {
      await bench.close();
    }
  };
  const ours: TrainingRound[] = [];
  const theirs: PytorchRound[] = [];
  const peaks: number[] = [];
  const pytorch = await startPytorch({ model, batch, threads, gpu: backend.isGpu }, estimator, terminal);
  try {
    await measure(batch, async (bench) => {
      await bench.round(WARM_UP_STEPS);
      for (let round = 1; round <= rounds; round++) {
        terminal.live(() => `${model}: round ${round} of ${rounds}`);
        peaks.push((await backend.multiplyAddPeak?.()) ?? Number.NaN);
        ours.push(await bench.round(steps));
        if (pytorch !== null) theirs.push(await pytorch.round(steps));
      }
    });
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    const attempt = (size: number) => measure(size, async (bench) => void (await bench.round(1)));
    throw await explainOutOfMemory(error, batch, attempt, '--batch');
  } finally {
    terminal.clearLive();
    pytorch?.close();
  }
  return { ours, theirs, peaks };
}

/** PyTorch, warmed up; null, and a note why, where it cannot be measured. */
async function startPytorch(
  network: { readonly model: string; readonly batch: number; readonly threads: number; readonly gpu: boolean },
  estimator: EstimatorName,
  terminal: Terminal,
): Promise<PytorchProcess | null> {
  const skip = (reason: string): null => {
    terminal.note(`note: PyTorch is not measured: ${visible(reason)}`);
    return null;
  };
  const python = process.env['BNN_PYTHON'];
  if (estimator !== PYTORCH_ESTIMATOR) return skip(`its networks use ${PYTORCH_ESTIMATOR}`);
  if (!python) return skip('BNN_PYTHON names no interpreter');
  const pytorch = PytorchProcess.start({ python, ...network });
  if (pytorch === null) return skip('its networks (tools/bench) are not part of this installation');
  try {
    await pytorch.round(WARM_UP_STEPS);
    return pytorch;
  } catch (error) {
    pytorch.close();
    if (!(error instanceof BnnError)) throw error;
    return skip(`${python}: ${error.message}`);
  }
}

function comparePytorch(
  ours: readonly TrainingRound[],
  theirs: readonly PytorchRound[],
  batch: number,
  peakMiB: number | null,
): PytorchCase {
  const imagesPerSecond = median(theirs.map((round) => round.imagesPerSecond));
  const ratios = theirs.map((round, i) => (ours[i]?.imagesPerSecond ?? Number.NaN) / round.imagesPerSecond);
  const peak = Math.max(...theirs.map((round) => round.peakMiB));
  return {
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

async function writeProfile(path: string, round: TrainingRound, terminal: Terminal): Promise<void> {
  if (round.calls.length === 0) {
    terminal.note('note: no table of kernels: this backend runs them asynchronously');
  } else {
    terminal.result(`\n${formatCalls(round)}`);
  }
  try {
    await writeFile(path, toChromeTrace(round));
  } catch (error) {
    throw fromSystemError(error, 'write the trace', path);
  }
  terminal.note(`wrote ${visible(path)}, open it in chrome://tracing or ui.perfetto.dev`);
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
