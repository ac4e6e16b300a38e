/** `bnn-bench conv` and `bnn-bench model`. */

import { Command } from 'commander';
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
} from '../options.ts';
import {
  addAdvancedProviderOptions,
  addProviderOption,
  type ProviderFlags,
  providerChoiceOf,
} from '../provider-flags.ts';
import { FAST_STEM_HELP } from '../session-flags.ts';
import type { Terminal } from '../terminal.ts';
import { refuseUnused } from '../unused-options.ts';
import { KERNEL_HELP, threadsHelp } from './bench-options.ts';
import { formatCase, formatProviderCase } from './bench-report.ts';

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
  readonly fastStem?: boolean;
}

export function createConvBench(): Command {
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

export function createModelBench(): Command {
  const command = new Command('model')
    .description('Measures a whole network in onnxruntime beside its full-precision twin.')
    .argument('<model>', 'an ONNX file written by bnn-export, or a run folder')
    .optionsGroup(COMMON)
    .option('--twin <name>', 'full-precision twin, a network of the zoo or an ONNX file')
    .option('--fast-stem', FAST_STEM_HELP);
  addProviderOption(command);
  addInferenceOptions(command);
  addAdvancedProviderOptions(command);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-bench model net.onnx --batch 8 --json', 'a whole network, for a script'],
    ['bnn-bench model net.onnx --ep webgpu --batch 1,8,64', 'a network on a GPU, and on the CPU beside it'],
  ]).action((model: string, options: ModelBenchOptions) => runModel(model, options));
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
  refuseUnused(`--ep ${options.ep}`, {
    '--kernel': options.kernel !== undefined,
    '--no-memory': !options.memory,
    '--fast-stem': options.fastStem === true,
  });
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
