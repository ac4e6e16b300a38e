/** `bnn-bench data`. */

import { Command } from 'commander';
import {
  ADVANCED,
  addExamples,
  addGeneralOptions,
  COMMON,
  type GeneralOptions,
  terminalOf,
  wholeNumber,
} from '../options.ts';
import { formatDataCase } from './bench-report.ts';

interface DataBenchOptions extends GeneralOptions {
  readonly batch: number;
  readonly rounds: number;
  readonly images: number;
  readonly dataset: string;
  readonly data?: string;
}

export function createDataBench(): Command {
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
