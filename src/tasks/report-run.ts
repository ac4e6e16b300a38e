/** What a report says of one run: from its folder, its data, and a run of the network on them. */

import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseJsonObject } from '../core/formats/parse-json.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import { findModel } from '../inference/model-source-io.ts';
import { readModel } from '../onnx/model-io.ts';
import { formatBytes, formatCount, formatPercent, formatSeconds, plural, threeDigits } from '../report/format.ts';
import type { NamedConfusion } from '../report/page/confusion-html.ts';
import type { Facts, ReportedRun } from '../report/page/run-report.ts';
import type { PluginSource } from '../training/plugins/load-plugin-io.ts';
import { placeOf } from '../training/recipes/data-place.ts';
import { defaultRecipe } from '../training/recipes/parse-recipe.ts';
import { networkName, type Recipe } from '../training/recipes/recipe.ts';
import { estimatorInWords } from '../training/recipes/recipe-choices.ts';
import { type EpochRecord, readHistory } from '../training/sessions/history-io.ts';
import { ENVIRONMENT_FILE, readRecipe } from '../training/sessions/run-folder-io.ts';
import { showMistakes } from './mistakes-file-io.ts';
import { indicatorTable } from './report-indicators.ts';
import { type DeployedLayers, deployLayers } from './report-layers.ts';
import { type ModelValidation, validateModel } from './validate-model.ts';

/** What was found of a run, before anything is drawn. */
export interface RunFindings {
  readonly name: string;
  readonly folder: string;
  readonly recipe: Recipe;
  readonly records: readonly EpochRecord[];
  readonly environment: Facts | null;
  /** Null where there is no checkpoint that can be read. */
  readonly layers: DeployedLayers | null;
  /** Epoch of the network that was looked at. */
  readonly epoch: number | null;
  /** Null where the data are missing. */
  readonly validation: ModelValidation | null;
  readonly notes: readonly string[];
}

export interface FindOptions {
  /** Where the data of the run lie, when they are not where they were. */
  readonly data?: string | undefined;
  /** Mistakes whose pictures are kept. */
  readonly pictures: number;
  /** Parts of one's own, where the data set is among them. */
  readonly plugins?: readonly PluginSource[] | undefined;
}

/** Side in pixels of the pictures on the page. */
const SIDE = 112;
/** A share of the test pictures that two runs of one network on the same data do not differ by. */
const FAR = 0.005;

/** @throws {BnnError} E_NOT_FOUND when this is no run, E_FORMAT when its recipe or history is damaged. */
export async function findRun(folder: string, options: FindOptions): Promise<RunFindings> {
  const recipe = await readRecipe(folder);
  if (recipe === null) {
    throw new BnnError('E_NOT_FOUND', 'this is no run folder: it has no recipe.json', {
      at: folder,
      hint: 'give the folder of a run (bnn-train --out) or of a comparison (bnn compare --out)',
    });
  }
  const records = await readHistory(join(folder, 'history.jsonl'));
  const notes: string[] = [];
  const noting = async <T>(what: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BnnError)) throw error;
      notes.push(`${what}: ${error.message}${error.at === undefined ? '' : ` (${error.at})`}.`);
      return null;
    }
  };
  const source = await noting('There is no network to look at', () => findModel(folder));
  const layers =
    source && (await noting('Its layers are not shown', async () => deployLayers(await readModel(source.path))));
  const validation =
    source &&
    (await noting('Its data could not be read, so confusion and mistakes are missing', () =>
      validateOn(folder, layers?.packed ?? source.path, recipe, options),
    ));
  const epoch = source && (await epochOf(dirname(source.path)));
  if (validation !== null) notes.push(...surprises(validation, records, epoch));
  const environment = await noting('How it was made is not shown', () => readEnvironment(folder));
  return { name: basename(resolve(folder)), folder, recipe, records, environment, layers, epoch, validation, notes };
}

/** On the test pictures that the training measured itself by. */
async function validateOn(
  run: string,
  model: Uint8Array | string,
  recipe: Recipe,
  { data, pictures, plugins = [] }: FindOptions,
): Promise<ModelValidation> {
  const place = placeOf(recipe);
  const on = (path: string): Promise<ModelValidation> =>
    validateModel({
      model: path,
      dataset: recipe.dataset,
      ...place,
      dir: data ?? place.dir,
      limit: recipe.limitTest,
      confusion: true,
      mistakes: pictures,
      plugins,
    });
  // The data set of a plug-in may need what the recipe of the run says.
  if (plugins.length > 0) return on(run);
  if (typeof model === 'string') return on(model);
  const folder = await mkdtemp(join(tmpdir(), 'bnn-report-'));
  try {
    const path = join(folder, 'packed.onnx');
    await writeFile(path, model);
    return await on(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function surprises(validation: ModelValidation, records: readonly EpochRecord[], epoch: number | null): string[] {
  const then = records.find((record) => record.epoch === epoch)?.testTop1;
  if (then === undefined || Math.abs(validation.top1 - then) < Math.max(FAR, 1.5 / validation.images)) return [];
  return [
    `The deployed network recognizes ${formatPercent(validation.top1)} of ${plural(validation.images, 'picture')} here, the training measured ${formatPercent(then)} in epoch ${epoch}: these may not be the same data.`,
  ];
}

async function epochOf(checkpoint: string): Promise<number | null> {
  try {
    const { epoch } = JSON.parse(await readFile(join(checkpoint, 'state.json'), 'utf8')) as { epoch?: unknown };
    return typeof epoch === 'number' ? epoch : null;
  } catch {
    return null;
  }
}

async function readEnvironment(folder: string): Promise<Facts | null> {
  const path = join(folder, ENVIRONMENT_FILE);
  try {
    const found = parseJsonObject(await readFile(path, 'utf8'), path);
    return Object.entries(found).map(([name, value]) => [name, value === null ? '-' : String(value)]);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null;
    throw fromSystemError(error, 'read', path);
  }
}

export function confusionOf({ name, validation }: RunFindings): NamedConfusion[] {
  const counts = validation?.confusion;
  return validation === null || counts == null
    ? []
    : [{ name, counts, classes: validation.classes.map((one) => one.name) }];
}

export async function describeFindings(found: RunFindings): Promise<ReportedRun> {
  const { name, folder, recipe, records, environment, layers, validation, notes } = found;
  const mistakes = validation?.mistakes ?? null;
  const classes = validation?.classes.map((one) => one.name) ?? [];
  const defaults: Readonly<Record<string, unknown>> = { ...defaultRecipe() };
  const fields = Object.entries(recipe);
  return {
    name,
    folder,
    figures: figuresOf(found),
    summary: summaryOf(found, await bytesOf(folder)),
    notes,
    mistakes: mistakes === null ? [] : await showMistakes(mistakes, classes, SIDE),
    mistakeCount: mistakes?.length ?? null,
    layers: layers?.table ?? null,
    indicators: indicatorTable(records),
    recipe: fields.map(([field, value]) => [field, textOf(value)]),
    defaults: new Set(fields.filter(([field, value]) => value === defaults[field]).map(([field]) => field)),
    environment,
  };
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '(none)' : value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function figuresOf({ records, layers, recipe }: RunFindings): Facts {
  const last = records.at(-1);
  if (last === undefined) return [['epochs', `0 of ${recipe.epochs}`]];
  const figures: [string, string][] = [
    ['test accuracy', formatPercent(last.testTop1)],
    ['epochs', `${last.epoch} of ${recipe.epochs}`],
    ['trained for', formatSeconds(secondsOf(records))],
  ];
  if (layers?.packed != null) figures.push(['deployed file', formatBytes(layers.packed.length)]);
  return figures;
}

function summaryOf({ recipe, records, layers, validation, epoch }: RunFindings, checkpointBytes: number | null): Facts {
  const last = records.at(-1);
  const best = records.reduce<EpochRecord | undefined>(
    (a, b) => (a === undefined || scoreOf(b) > scoreOf(a) ? b : a),
    undefined,
  );
  const held = recipe.validation > 0;
  const facts: [string, string][] = [
    ['network', networkName(recipe)],
    ['data set', recipe.dataset],
    ['estimator', estimatorInWords(recipe) ?? 'none'],
    ['epochs', `${last?.epoch ?? 0} of ${recipe.epochs}`],
  ];
  if (last !== undefined && best !== undefined) {
    facts.push(
      ['test accuracy, last epoch', formatPercent(last.testTop1)],
      [
        'best epoch',
        `${best.epoch}, by the ${held ? 'held-out' : 'test'} pictures: test accuracy ${formatPercent(best.testTop1)}`,
      ],
      ['test loss, last epoch', lossOf(last.testLoss)],
      ['training loss, last epoch', lossOf(last.trainLoss)],
      ['trained for', `${formatSeconds(secondsOf(records))}, ${threeDigits(last.imagesPerSecond)} pictures a second`],
    );
  }
  if (validation !== null) {
    const { images, top1, top5, loss, latencyMs } = validation;
    const fifth = top5 === null || validation.classes.length <= 5 ? '' : `, top-5 ${formatPercent(top5)}`;
    facts.push(
      [
        'deployed, measured for this page',
        `${formatPercent(top1)} of ${formatCount(images)} test pictures${fifth}${epoch === null ? '' : ` (epoch ${epoch})`}`,
      ],
      ['deployed, loss', lossOf(loss)],
      ['deployed, one picture', latencyMs === null ? '-' : `${latencyMs.toFixed(3)} ms`],
    );
  }
  const rows = layers?.table.rows ?? [];
  if (rows.length > 0) facts.push(['parameters', formatCount(rows.reduce((sum, row) => sum + row.parameters, 0))]);
  if (layers?.packed != null) facts.push(['deployed file', formatBytes(layers.packed.length)]);
  if (checkpointBytes !== null) facts.push(['checkpoint, latent form', formatBytes(checkpointBytes)]);
  return facts;
}

function scoreOf({ validationTop1, testTop1 }: EpochRecord): number {
  return validationTop1 ?? testTop1;
}

function lossOf(loss: number | null): string {
  return loss === null || !Number.isFinite(loss) ? 'not a number' : loss.toFixed(4);
}

function secondsOf(records: readonly EpochRecord[]): number {
  return records.reduce((sum, { seconds }) => sum + seconds, 0);
}

async function bytesOf(folder: string): Promise<number | null> {
  try {
    return (await stat(join(folder, 'last', 'model.onnx'))).size;
  } catch {
    return null;
  }
}
