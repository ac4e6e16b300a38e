/** How `bnn-bench train` shows its figures. */

import type { TimedCommand } from '../../backends/step-recorder.ts';
import { formatBytes, formatPercent, plural, threeDigits } from '../../report/format.ts';
import { columns, formatPairs, formatTable } from '../../report/table.ts';
import type { TrainCase } from '../../tasks/bench-train.ts';
import type { PytorchForm } from '../../tasks/pytorch-process-io.ts';
import { PHASES, type TrainingRound } from '../../training/learning/bench-training.ts';

export function formatTrainCase(result: TrainCase): string {
  const { pytorch } = result.baselines;
  const ms = (value: number): string => `${value.toFixed(2)} ms (${formatPercent(value / result.medianMs, 1)})`;
  // Where kernels run while the host goes on, the phases are the host's, and only those that there were.
  const phases = PHASES.filter(
    (phase) => result.phasesMs[phase] > 0 && (result.outsideKernelsMs === null || phase !== 'wait'),
  );
  const pairs: (readonly [string, string])[] = [
    ['network', `${result.name}, ${result.backend}${result.isa === null ? '' : ` ${result.isa}`}`],
    ['estimator', result.estimator],
    ['precision', result.precision],
    ['threads', String(result.threads)],
    ...togetherPairs(result),
    ['images/s', threeDigits(result.imagesPerSecond)],
    ['step', `${result.medianMs.toFixed(2)} ms`],
    ...phases.map((phase) => [`  ${phase}`, ms(result.phasesMs[phase])] as const),
  ];
  if (result.outsideKernelsMs !== null) pairs.push(['  of it JavaScript', ms(result.outsideKernelsMs)]);
  pairs.push(['processor time', `${result.processorMs.toFixed(2)} ms a step`]);
  if (result.peakGflops !== null) {
    const share = formatPercent(result.peakShare, 1);
    pairs.push([
      'Gflop/s',
      `${threeDigits(result.gflops)}, ${share} of ${threeDigits(result.peakGflops)} in registers`,
    ]);
  } else {
    pairs.push(['Gflop/s', threeDigits(result.gflops)]);
  }
  if (result.peakMiB !== null) {
    const before = result.startMiB === null ? '' : `, ${threeDigits(result.startMiB)} before`;
    pairs.push(['peak memory', `${threeDigits(result.peakMiB)} MiB${before}`]);
  }
  if (pytorch !== undefined) {
    const memory = pytorch.memoryRatio === null ? '' : `; our memory is ${threeDigits(pytorch.memoryRatio)} of theirs`;
    const others = pytorch.trials.slice(1);
    pairs.push(
      [
        'PyTorch',
        `${threeDigits(pytorch.imagesPerSecond)} images/s on ${pytorch.device} in ${formName(pytorch)}, peak ${threeDigits(pytorch.peakMiB)} MiB`,
      ],
      ...others.map((trial) => [`  ${formName(trial)}`, `${threeDigits(trial.imagesPerSecond)} images/s`] as const),
      [
        'ours is faster by',
        `${threeDigits(pytorch.ratio)}, in processor time ${threeDigits(pytorch.processorRatio)}${memory}`,
      ],
    );
  }
  return formatPairs(pairs);
}

function togetherPairs({ together }: TrainCase): (readonly [string, string])[] {
  if (together === undefined) return [];
  const { processes, machines, mpi, syncBatchNorm, waitShare, othersShare, hiddenShare, bytesPerStep } = together;
  const { aloneImagesPerSecond: alone, efficiency, machineImagesPerSecond: machine, speedup } = together;
  return [
    [
      'processes',
      `${processes} on ${plural(machines, 'machine')}, ${mpi}${syncBatchNorm ? ', normalized together' : ''}`,
    ],
    ['waiting', `${formatPercent(waitShare, 1)} of a step, ${formatPercent(othersShare, 1)} for others to come so far`],
    ['traffic', `${formatPercent(hiddenShare, 1)} of its time is hidden behind the backward pass`],
    ['sent', `${formatBytes(bytesPerStep)} a step by each process`],
    ['efficiency', `${formatPercent(efficiency, 1)} of ${processes} × ${threeDigits(alone)} images/s of one alone`],
    ['speed-up', `${speedup.toFixed(2)} × ${threeDigits(machine)} images/s of one with the whole batch on its machine`],
  ];
}

function formName({ precision, channelsLast }: PytorchForm): string {
  return `${precision}${channelsLast ? ', channels last' : ''}`;
}

const COLUMNS = columns(['kernel', 'result'], ['calls', 'ms per step', 'share', 'best call, ms']);

/** Kernels of a round, the costliest first: per step. */
export function formatCalls({ calls, steps }: TrainingRound): string {
  const groups = new Map<string, { name: string; shape: string; count: number; ms: number; best: number }>();
  for (const { name, shape, durationMs } of calls) {
    const key = `${name} ${shape}`;
    const group = groups.get(key) ?? { name, shape, count: 0, ms: 0, best: Infinity };
    group.count++;
    group.ms += durationMs;
    group.best = Math.min(group.best, durationMs);
    groups.set(key, group);
  }
  const total = calls.reduce((sum, call) => sum + call.durationMs, 0);
  const rows = [...groups.values()]
    .sort((a, b) => b.ms - a.ms)
    .map(({ name, shape, count, ms, best }) => [
      name,
      shape,
      (count / steps).toFixed(1),
      (ms / steps).toFixed(3),
      formatPercent(ms / total, 1),
      best.toFixed(3),
    ]);
  return formatTable(COLUMNS, rows);
}

/**
 * The Trace Event Format of Chrome: phases in one row, kernels in another, times in microseconds. Commands of a device are a row of their
 * own, one behind the other.
 */
export function toChromeTrace({ spans, calls }: TrainingRound, commands: readonly TimedCommand[] = []): string {
  const origin = spans[0]?.beginMs ?? 0;
  const event = (name: string, tid: number, beginMs: number, durationMs: number, args: object) => ({
    ...{ name, ph: 'X', pid: 1, tid, args },
    ts: (beginMs - origin) * 1000,
    dur: durationMs * 1000,
  });
  let begin = 0;
  const traceEvents = [
    ...spans.map(({ phase, beginMs, durationMs }) => event(phase, 1, beginMs, durationMs, {})),
    ...calls.map(({ name, shape, beginMs, durationMs }) => event(name, 2, beginMs, durationMs, { shape })),
    ...commands.map(({ label, scope, ms, bytes, multiplyAdds }) => {
      begin += ms;
      return event(label, 3, origin + begin - ms, ms, { layer: scope, bytes, multiplyAdds });
    }),
  ];
  return JSON.stringify({ displayTimeUnit: 'ms', traceEvents });
}
