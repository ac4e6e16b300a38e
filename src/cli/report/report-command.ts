/** `bnn report`. */

import { Command } from 'commander';
import { formatBytes } from '../../report/format.ts';
import { formatPairs } from '../../report/table.ts';
import { writeReport } from '../../tasks/report-runs.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';
import { addPluginOption } from '../plugin-options.ts';

interface ReportCommandOptions extends GeneralOptions {
  readonly out: string;
  readonly data?: string;
  readonly plugin?: readonly string[];
}

export function createReportCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Writes a page about what runs have learned: curves, confusion, mistakes as pictures, sizes and speed of the layers, indicators, recipe, environment. One file that loads nothing.',
    )
    .argument('<runs...>', 'run folders, or the folder of a comparison')
    .optionsGroup(COMMON)
    .option('-o, --out <file>', 'the page (default: report.html)', 'report.html')
    .option('--data <folder>', 'where the data lie, when that is not where the training found them');
  addPluginOption(command, 'a plug-in, where the data set is of one');
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn report runs/mnist -o report.html', 'the page of a run'],
    ['bnn report runs/a runs/b runs/c -o abc.html', 'three runs side by side'],
    ['bnn report compare/ste-reste -o compare.html', 'the arms of bnn compare'],
  ]).action((runs: string[], options: ReportCommandOptions) => runReport(runs, options));
}

async function runReport(runs: readonly string[], options: ReportCommandOptions): Promise<void> {
  const terminal = terminalOf(options);
  const { out, data, plugin: plugins } = options;
  const {
    file,
    bytes,
    runs: shown,
    notes,
  } = await writeReport({
    runs,
    out,
    data,
    plugins,
    onRun: (folder) => terminal.live(() => `looking at ${folder}`),
  });
  terminal.clearLive();
  for (const note of notes) terminal.note(`note: ${note}`);
  terminal.event('result', { file, bytes, runs: shown, notes });
  terminal.result(
    formatPairs([
      ['wrote', `${file}  ${formatBytes(bytes)}`],
      [shown.length === 1 ? 'run' : 'runs', shown.join(', ')],
    ]),
  );
}
