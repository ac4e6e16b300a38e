/** Training steps of several processes, in turns with the same on one of them: what working together gains and costs. */

import { type SelectedBackend, selectBackend } from '../backends/select-backend.ts';
import { median } from '../core/numbers/quantile.ts';
import { type Communicator, gather, gatherTimes, meet } from '../distributed/communicator.ts';
import { splitWaiting } from '../distributed/waiting.ts';
import type { EstimatorName } from '../estimators/table.ts';
import type { TrainingPrecision } from '../kernels/convolution.ts';
import { TrainingBench, type TrainingRound } from '../training/learning/bench-training.ts';
import { Team } from '../training/learning/team.ts';

export interface TogetherCase {
  readonly processes: number;
  readonly machines: number;
  readonly mpi: string;
  readonly syncBatchNorm: boolean;
  /** Threads of all processes. */
  readonly threads: number;
  /** Of a step, of the process that waits most: for others and for numbers. */
  readonly waitShare: number;
  /** Of a step, of the same process: for others that had not come so far. */
  readonly othersShare: number;
  /** Share of the time in which numbers were on their way that the process computed meanwhile: of the one that others wait for. */
  readonly hiddenShare: number;
  /** That the process that sends most sends in a step. */
  readonly bytesPerStep: number;
  /** Process 0 alone, with its threads and a batch as large as its part. */
  readonly aloneImagesPerSecond: number;
  /** Speed of all divided by that of so many processes like the one that is alone. */
  readonly efficiency: number;
  /** Process 0 alone with the whole batch, on the threads of all processes of its machine. */
  readonly machineImagesPerSecond: number;
  /** Speed of all divided by that. */
  readonly speedup: number;
}

/** What is measured, and how long. */
export interface BenchPlan {
  readonly model: string;
  readonly batch: number;
  readonly estimator: EstimatorName;
  readonly precision: TrainingPrecision;
  readonly rounds: number;
  readonly steps: number;
  readonly threads: number;
  readonly backend: SelectedBackend;
}

interface Options {
  readonly syncBatchNorm?: boolean | undefined;
  readonly onRound?: ((done: number, total: number) => void) | undefined;
}

const WARM_UP_STEPS = 3;

export interface MeasuredTogether {
  readonly case: TogetherCase;
  /** As if one process had taken the steps of all. */
  readonly rounds: {
    readonly ours: readonly TrainingRound[];
    readonly theirs: readonly [];
    readonly trials: readonly [];
    readonly peaks: readonly number[];
  };
}

export async function benchTogether(
  plan: BenchPlan & { readonly communicator: Communicator },
  { syncBatchNorm = false, onRound }: Options,
): Promise<MeasuredTogether> {
  const { batch, rounds, steps, threads, communicator, backend } = plan;
  const team = new Team(communicator);
  const { hosts, rank, size } = communicator;
  const allThreads = gather(communicator, [threads]).map(([count = 0]) => count);
  const machineThreads = allThreads.reduce((sum, count, other) => sum + (hosts[other] === hosts[rank] ? count : 0), 0);
  const benches: TrainingBench[] = [];
  const create = (options: Partial<ConstructorParameters<typeof TrainingBench>[0]>): TrainingBench => {
    const bench = new TrainingBench({ ...plan, ...options });
    benches.push(bench);
    return bench;
  };
  /** Only in process 0; the others wait. */
  const alone = async (work: () => Promise<TrainingRound>): Promise<number> => {
    const round = team.isFirst ? await work() : null;
    meet(communicator);
    return round?.imagesPerSecond ?? 0;
  };
  try {
    const together = create({ team, syncBatchNorm });
    const part = team.isFirst ? create({ batch: team.shareOf(batch), isTraced: false }) : together;
    const whole = team.isFirst ? create({ batch, isTraced: false }) : together;
    const onMachine = async (count: number): Promise<TrainingRound> => {
      await selectBackend(backend.name, { threads: machineThreads });
      const round = await whole.round(count);
      await selectBackend(backend.name, { threads });
      return round;
    };
    await together.round(WARM_UP_STEPS);
    await alone(() => part.round(WARM_UP_STEPS));
    await alone(() => onMachine(WARM_UP_STEPS));
    const ours: TrainingRound[] = [];
    const figures: Record<'wait' | 'others' | 'hidden' | 'bytes' | 'alone' | 'machine', number[]> = {
      ...{ wait: [], others: [], hidden: [], bytes: [], alone: [], machine: [] },
    };
    const peaks: number[] = [];
    for (let done = 1; done <= rounds; done++) {
      onRound?.(done, rounds);
      peaks.push((await backend.multiplyAddPeak?.()) ?? Number.NaN);
      figures.alone.push(await alone(() => part.round(steps)));
      figures.machine.push(await alone(() => onMachine(steps)));
      meet(communicator);
      const before = communicator.traffic();
      communicator.takeTimes();
      const round = await together.round(steps);
      const times = communicator.takeTimes();
      const after = communicator.traffic();
      const all = gather(communicator, [(after.bytesSent - before.bytesSent) / steps, round.seconds]);
      const of = (i: number): number[] => all.map((each) => each[i] ?? Number.NaN);
      const seconds = Math.max(...of(1));
      figures.bytes.push(Math.max(...of(0)));
      const waiting = splitWaiting(gatherTimes(communicator, times), hosts);
      const shares = waiting.map(({ forOthersMs, forNumbersMs }) => ({
        wait: (forOthersMs + forNumbersMs) / 1000 / seconds,
        others: forOthersMs / 1000 / seconds,
      }));
      const most = shares.reduce((worst, share) => (share.wait > worst.wait ? share : worst));
      figures.wait.push(most.wait);
      figures.others.push(most.others);
      const last = waiting.reduce((least, one) => (one.forOthersMs < least.forOthersMs ? one : least));
      figures.hidden.push(last.trafficMs > 0 ? 1 - last.forNumbersMs / last.trafficMs : 1);
      ours.push({ ...round, seconds, imagesPerSecond: (steps * batch) / seconds });
    }
    const aloneImagesPerSecond = median(figures.alone);
    const machineImagesPerSecond = median(figures.machine);
    const ratio = (others: readonly number[]): number =>
      median(ours.map(({ imagesPerSecond }, i) => imagesPerSecond / (others[i] ?? Number.NaN)));
    return {
      case: {
        processes: size,
        machines: new Set(hosts).size,
        mpi: communicator.library,
        syncBatchNorm,
        threads: allThreads.reduce((sum, count) => sum + count, 0),
        waitShare: median(figures.wait),
        othersShare: median(figures.others),
        hiddenShare: median(figures.hidden),
        bytesPerStep: median(figures.bytes),
        aloneImagesPerSecond,
        efficiency: ratio(figures.alone) / size,
        machineImagesPerSecond,
        speedup: ratio(figures.machine),
      },
      rounds: { ours, theirs: [], trials: [], peaks },
    };
  } finally {
    for (const bench of benches) await bench.close();
  }
}
