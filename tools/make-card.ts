/**
 * Makes a model of models/ from a finished run:
 *
 *     npx tsx tools/make-card.ts RUN --out models/NAME --selection TEXT [--data DIR] [--with-latent]
 *
 * Exports the run, measures every figure of the card over the whole test set, and writes model.onnx, card.json and README.md; with
 * --with-latent also latent.onnx, so that the figures of the latent form can be reproduced without the run. Nothing is typed by
 * hand but --selection, by what pictures network and recipe were chosen: recipe, seed and training time come from the run, hardware and
 * versions from this machine. --data is where the data set lies now; the recipe's folder unless told.
 */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { printError } from '../src/cli/print-error.ts';
import { Terminal } from '../src/cli/terminal.ts';
import { lowerToPacked } from '../src/compiler/lower-to-packed.ts';
import { writeFolderAtomic } from '../src/core/files/atomic-file-io.ts';
import { BnnError } from '../src/errors.ts';
import { findModel } from '../src/inference/model-source-io.ts';
import { onnxruntimeVersion } from '../src/inference/provider.ts';
import { decodeModel } from '../src/onnx/decode-model.ts';
import { encodeModel } from '../src/onnx/encode-model.ts';
import { formatPercent } from '../src/report/format.ts';
import { formatBar } from '../src/report/progress.ts';
import { describeMachine } from '../src/tasks/machine.ts';
import { TFJS_VERSION, VERSION } from '../src/tasks/version.ts';
import { loadCheckpoint } from '../src/training/sessions/checkpoint-io.ts';
import { readHistory } from '../src/training/sessions/history-io.ts';
import { readRecipe } from '../src/training/sessions/run-folder-io.ts';
import { CARD_FILES, formatCard, type ModelCard, toCardRecipe } from './model-card/card.ts';
import { formatCardReadme } from './model-card/card-readme.ts';
import { measureFigures } from './model-card/figures.ts';
import { formatHistory } from './model-card/history.ts';
import { findRecipeFile } from './model-card/recipe-file.ts';

const TOOL = 'make-card';
const USAGE = 'npx tsx tools/make-card.ts RUN --out models/NAME --selection TEXT [--data DIR] [--with-latent]';
const MODELS = fileURLToPath(new URL('../models', import.meta.url));
const terminal = new Terminal();

interface Request {
  readonly run: string;
  readonly out: string;
  readonly selection: string;
  readonly data: string | undefined;
  readonly withLatent: boolean;
}

function parseOptions(args: readonly string[]): Request {
  const parse = () => {
    try {
      return parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          out: { type: 'string' },
          selection: { type: 'string' },
          data: { type: 'string' },
          'with-latent': { type: 'boolean', default: false },
        },
      });
    } catch (error) {
      throw new BnnError('E_USAGE', error instanceof Error ? error.message : String(error), { hint: USAGE });
    }
  };
  const { values, positionals } = parse();
  const [run, ...more] = positionals;
  const { out, selection } = values;
  if (run === undefined || more.length > 0 || out === undefined || selection === undefined) {
    throw new BnnError(
      'E_USAGE',
      'expected one run folder, --out, and --selection: by what pictures the recipe was chosen',
      {
        hint: USAGE,
      },
    );
  }
  return { run, out, selection, data: values.data, withLatent: values['with-latent'] };
}

/** The folder is replaced as a whole: what else is in it would be lost. */
async function assertReplaceable(out: string): Promise<void> {
  const own = new Set<string>(Object.values(CARD_FILES));
  const strangers = existsSync(out) ? (await readdir(out)).filter((name) => !own.has(name)) : [];
  if (strangers.length === 0) return;
  throw new BnnError(
    'E_USAGE',
    `the folder holds other files than those of a model: ${strangers.slice(0, 3).join(', ')}`,
    {
      at: out,
      hint: 'choose a folder of its own, e.g. --out models/NAME',
    },
  );
}

async function makeCard({ run, out, selection, data, withLatent }: Request): Promise<void> {
  await assertReplaceable(out);
  const recipe = await readRecipe(run);
  if (recipe === null) {
    throw new BnnError('E_NOT_FOUND', 'this folder holds no run: it has no recipe.json', {
      at: run,
      hint: 'give the folder that bnn-train --out wrote',
    });
  }
  const { path, checkpoint } = await findModel(run);
  if (checkpoint === null) throw new BnnError('E_NOT_FOUND', 'the run has no checkpoint', { at: run });
  const { state } = await loadCheckpoint(join(run, checkpoint));
  const latent = await readFile(path);
  const packed = lowerToPacked(decodeModel(latent, { at: path })).model;
  packed.producerVersion = VERSION;
  const model = encodeModel(packed);
  const { figures, reasons, notes } = await withFile(model, (file) =>
    measureFigures({
      model: file,
      latent: path,
      recipe,
      data: data ?? (recipe.data || undefined),
      onProgress: ({ images, total, top1 }) =>
        terminal.live(() => `${formatBar(images / total)}  ${images}/${total}  top-1 ${formatPercent(top1)}`),
    }),
  );
  terminal.clearLive();
  for (const note of notes) terminal.warn(note);
  if (figures.opLibraryTop1 === null) terminal.warn(`no figures of the operator library: ${reasons.opLibraryTop1}`);
  if (figures.dataFingerprint !== state.data) {
    throw new BnnError('E_FORMAT', 'the data set is not the one that the run was trained on', {
      at: data ?? recipe.data,
      hint: 'give the same data with --data',
    });
  }
  const machine = new Map(describeMachine());
  const fact = (name: string): string => machine.get(name) ?? 'not known';
  const card: ModelCard = {
    version: 1,
    name: basename(resolve(out)),
    date: new Date().toISOString().slice(0, 10),
    recipe: { file: await findRecipeFile(MODELS, recipe), fields: toCardRecipe(recipe) },
    selection,
    training: { checkpoint, epochs: state.epoch, seconds: state.seconds, steps: state.step },
    latent: { sha256: createHash('sha256').update(latent).digest('hex'), fileBytes: latent.length },
    hardware: { processor: fact('processor'), instructions: fact('instructions'), memory: fact('memory') },
    software: { bnnToolchain: VERSION, node: fact('node'), onnxruntime: onnxruntimeVersion(), tfjs: TFJS_VERSION },
    figures,
  };
  const files = {
    [CARD_FILES.model]: model,
    [CARD_FILES.card]: formatCard(card),
    [CARD_FILES.readme]: formatCardReadme(card),
    [CARD_FILES.history]: formatHistory(await readHistory(join(run, 'history.jsonl'))),
    ...(withLatent ? { [CARD_FILES.latent]: latent } : {}),
  };
  await writeFolderAtomic(out, files);
  terminal.result(`wrote ${Object.keys(files).join(', ')} to ${out}`);
}

/** onnxruntime wants a path; the model gets its place when everything about it is known. */
async function withFile<T>(bytes: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'bnn-card-'));
  try {
    const path = join(folder, CARD_FILES.model);
    await writeFile(path, bytes);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

try {
  await makeCard(parseOptions(process.argv.slice(2)));
} catch (error) {
  process.exitCode = printError(error, TOOL, terminal);
}
