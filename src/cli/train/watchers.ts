/** What looks at a training besides the terminal: a page, TensorBoard. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { joinListeners } from '../../tasks/join-listeners.ts';
import { serveTraining } from '../../tasks/live-server-io.ts';
import { assertFolder } from '../../tasks/output-file.ts';
import { TensorboardLog } from '../../tasks/tensorboard-run-io.ts';
import type { Recipe } from '../../training/recipes/recipe.ts';
import type { TrainListeners, TrainOptions } from '../../training/sessions/train-options.ts';
import { COMMON, wholeNumber } from '../options.ts';
import type { Terminal } from '../terminal.ts';

export interface WatchOptions {
  /** True: in the run folder. */
  readonly tensorboard?: string | true;
  /** True: any port. */
  readonly live?: number | true;
}

export function addWatchOptions(command: Command): void {
  command
    .optionsGroup(COMMON)
    .option(
      '--live [port]',
      'show the curves in a browser while it trains, on this machine alone',
      wholeNumber(0, 65535),
    )
    .option(
      '--tensorboard [folder]',
      'also write event files for TensorBoard (default: tensorboard/ in the run folder)',
    );
}

type Train<T> = (recipe: Recipe, options: TrainOptions) => Promise<T>;

export interface Watchers {
  /** The same training, watched. */
  during<T>(train: Train<T>): Train<T>;
  close(): Promise<void>;
}

/** @throws {BnnError} before any work, when the folder cannot be written or the port is taken. */
export async function openWatchers(
  { tensorboard, live }: WatchOptions,
  recipe: Recipe,
  out: string,
  terminal: Terminal,
): Promise<Watchers> {
  const listeners: TrainListeners[] = [];
  const closing: (() => Promise<void>)[] = [];
  if (tensorboard !== undefined) {
    const folder = tensorboard === true ? join(out, 'tensorboard') : tensorboard;
    await assertFolder(join(folder, 'events'));
    const log = new TensorboardLog(folder, (note) => terminal.warn(note));
    listeners.push(log.listeners);
    closing.push(() => log.close());
  }
  if (live !== undefined) {
    const server = await serveTraining(out, recipe, live === true ? 0 : live);
    terminal.event('live', { url: server.url });
    terminal.note(`the curves are at ${server.url} until the training ends`);
    listeners.push(server.listeners);
    closing.push(() => server.close('The training has ended.'));
  }
  return {
    during: (train) => (given, options) => train(given, { ...options, ...joinListeners([...listeners, options]) }),
    close: async () => {
      for (const one of closing) await one();
    },
  };
}
