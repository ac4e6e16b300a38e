/** `bnn web`. */

import { Command } from 'commander';
import { BnnError } from '../../errors.ts';
import { findModel } from '../../inference/model-source-io.ts';
import { formatBytes } from '../../report/format.ts';
import { formatPairs } from '../../report/table.ts';
import { writeTrainingSite } from '../../tasks/training-site-io.ts';
import { type Site, writeSite } from '../../tasks/web-site-io.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';

interface WebCommandOptions extends GeneralOptions {
  readonly out?: string;
  readonly title?: string;
  readonly train?: true;
  readonly data?: string;
}

export function createWebCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Writes a web page that classifies pictures with a model: dropped or chosen files, or the camera. With --train instead of a model: a page that trains a network on MNIST and gives the packed file. A folder of static files for any web server; it needs nothing else and sends nothing anywhere.',
    )
    .argument('[model]', 'a packed ONNX file, as bnn-export writes it')
    .optionsGroup(COMMON)
    .option('-o, --out <folder>', 'where the page goes')
    .option('--train', 'a page that trains a network in the browser')
    .option('--data <folder>', '--train: four files like those of MNIST, instead of MNIST')
    .option('--title <text>', "what the page is called (default: the model's name)");
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn web mnist.onnx -o site/', 'the page of a model'],
    ['bnn web --train -o site/', 'a page that trains one'],
    ['npx http-server site', 'any static server shows it'],
  ]).action((model: string | undefined, options: WebCommandOptions) => runWeb(model, options));
}

async function runWeb(source: string | undefined, options: WebCommandOptions): Promise<void> {
  const terminal = terminalOf(options);
  const { out, title, train, data } = options;
  if (out === undefined) throw new BnnError('E_USAGE', 'no folder given', { hint: 'add -o FOLDER' });
  if (train === true) {
    if (source !== undefined) {
      throw new BnnError('E_USAGE', `--train makes a page without a model, but ${source} is given`, {
        hint: 'leave one of the two out',
      });
    }
    const site = await writeTrainingSite(out, { title, data });
    terminal.event('result', { folder: out, ...site });
    terminal.result(describe(out, site, 'pictures included'));
    return;
  }
  if (source === undefined) {
    throw new BnnError('E_USAGE', 'no model given', { hint: 'name a packed file, or --train for a page that trains' });
  }
  if (data !== undefined) throw new BnnError('E_USAGE', '--data is for --train', { hint: 'leave it out' });
  const { path } = await findModel(source);
  const site = await writeSite(path, out, title);
  terminal.event('result', { folder: out, ...site });
  terminal.result(describe(out, site, `the network's ${formatBytes(site.modelBytes)} included`));
}

function describe(out: string, { files, gzipBytes }: Site, included: string): string {
  return formatPairs([
    ['wrote', `${out}: ${files.map(({ name }) => name).join(', ')}`],
    ['download', `${formatBytes(gzipBytes)} gzipped, ${included}`],
    ['look at it', `npx http-server ${out}`],
  ]);
}
