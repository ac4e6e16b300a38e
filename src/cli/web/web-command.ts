/** `bnn web`. */

import { Command } from 'commander';
import { BnnError } from '../../errors.ts';
import { findModel } from '../../inference/model-source-io.ts';
import { formatBytes } from '../../report/format.ts';
import { formatPairs } from '../../report/table.ts';
import { writeSite } from '../../tasks/web-site-io.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';

interface WebCommandOptions extends GeneralOptions {
  readonly out?: string;
  readonly title?: string;
}

export function createWebCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Writes a web page that classifies pictures with a model: dropped or chosen files, or the camera. A folder of static files for any web server; it needs nothing else and sends nothing anywhere.',
    )
    .argument('<model>', 'a packed ONNX file, as bnn-export writes it')
    .optionsGroup(COMMON)
    .option('-o, --out <folder>', 'where the page goes')
    .option('--title <text>', "what the page is called (default: the model's name)");
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn web mnist.onnx -o site/', 'the page of a model'],
    ['npx http-server site', 'any static server shows it'],
  ]).action((model: string, options: WebCommandOptions) => runWeb(model, options));
}

async function runWeb(source: string, options: WebCommandOptions): Promise<void> {
  const terminal = terminalOf(options);
  const { out } = options;
  if (out === undefined) throw new BnnError('E_USAGE', 'no folder given', { hint: 'add -o FOLDER' });
  const { path } = await findModel(source);
  const site = await writeSite(path, out, options.title);
  terminal.event('result', { folder: out, ...site });
  terminal.result(
    formatPairs([
      ['wrote', `${out}: ${site.files.map(({ name }) => name).join(', ')}`],
      ['download', `${formatBytes(site.gzipBytes)} gzipped, the network's ${formatBytes(site.modelBytes)} included`],
      ['look at it', `npx http-server ${out}`],
    ]),
  );
}
