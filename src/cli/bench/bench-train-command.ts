/** `bnn-bench train`. */

import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { BACKEND_NAMES, type BackendName, canBackend } from '../../backends/backends.ts';
import { PRECISIONS, type WantedPrecision } from '../../backends/precision.ts';
import type { Communicator } from '../../distributed/communicator.ts';
import { isFollower } from '../../distributed/launcher.ts';
import { fromSystemError } from '../../errors.ts';
import { type EstimatorName, estimatorsFor } from '../../estimators/table.ts';
import { visible } from '../../report/visible-text.ts';
import type { DeviceProfile } from '../../tasks/bench-train.ts';
import { assertFolder } from '../../tasks/output-file.ts';
import type { TrainingRound } from '../../training/learning/bench-training.ts';
import {
  ADVANCED,
  addExamples,
  addGeneralOptions,
  COMMON,
  type GeneralOptions,
  MOST_THREADS,
  terminalOf,
  wholeNumber,
} from '../options.ts';
import { withProcesses } from '../processes.ts';
import type { Terminal } from '../terminal.ts';
import { refuseUnused } from '../unused-options.ts';
import { nameOf } from '../usage-error.ts';
import { KERNEL_HELP, threadsHelp } from './bench-options.ts';

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

/** That of weights alone has no gradient for activations. */
const BENCH_ESTIMATORS = estimatorsFor('activation');
const TRACE_FILE = 'bnn-train-trace.json';

export function createTrainBench(): Command {
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
      new Option('--precision <name>', 'what layers with binary weights multiply in training')
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
