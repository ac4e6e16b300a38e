/** Comparing recipes that differ in one thing, over the same seeds: which runs there are, and what they say together. */

import { type Spread, spreadOf } from '../../core/numbers/statistics.ts';
import { BnnError } from '../../errors.ts';
import type { EstimatorRow } from '../../estimators/table.ts';
import {
  type EpochIndicators,
  INDICATOR_NAMES,
  NETWORK_INDICATORS,
  type NetworkIndicator,
} from '../measures/indicators.ts';
import { parseRecipe, type RecipeRules } from '../recipes/parse-recipe.ts';
import { BUILT_IN, type Parts } from '../recipes/parts.ts';
import type { Recipe, RecipeInput } from '../recipes/recipe.ts';
import type { EpochRecord } from '../sessions/history-io.ts';
import { bestRecord } from '../sessions/is-finished.ts';
import { type Contrast, contrastOf, correctTogether, type Disagreement } from './contrast.ts';

/** One of the recipes that are compared. */
export interface Arm {
  readonly name: string;
  readonly overrides: RecipeInput;
  /** ReSTE's final power, for the arms of a sweep. */
  readonly oEnd: number | null;
}

export interface ArmChoice {
  readonly estimators: readonly string[];
  /** Final powers of ReSTE; each is an arm of its own. */
  readonly oEnds: readonly number[];
  /** Learning rates; with more than one, every arm is trained with each. */
  readonly lrs: readonly number[];
  /** Arms over any fields: `name:field=value,field=value`. */
  readonly specs?: readonly string[];
}

/** The tables that arms are made of. */
type ArmParts = Pick<Parts, 'estimators' | 'rules'>;

/** @throws {BnnError} E_USAGE when there is nothing to compare, or an arm is not written as it should be. */
export function createArms({ estimators, oEnds, lrs, specs = [] }: ArmChoice, parts: ArmParts = BUILT_IN): Arm[] {
  const byEstimator = estimators.map(
    (name): Arm => ({ name, overrides: overridesOf(name, parts.estimators), oEnd: null }),
  );
  const sweep = oEnds.map((oEnd): Arm => ({ name: `reste o=${oEnd}`, overrides: { estimator: 'reste', oEnd }, oEnd }));
  let arms = [...specs.map((spec) => parseArm(spec, parts.rules)), ...byEstimator, ...sweep];
  if (lrs.length > 0) {
    const fixed = arms.find(({ overrides }) => 'lr' in overrides);
    if (fixed !== undefined) {
      throw new BnnError('E_USAGE', `arm "${fixed.name}" has a learning rate`, {
        at: '--lrs',
        hint: 'leave out --lrs, or lr in --arm',
      });
    }
    arms = lrs.flatMap((lr) =>
      arms.map((arm) => ({
        ...arm,
        name: lrs.length === 1 ? arm.name : `${arm.name} lr=${lr}`,
        overrides: { ...arm.overrides, lr },
      })),
    );
  }
  const names = arms.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new BnnError('E_USAGE', `"${twice}" would be compared with itself`);
  if (arms.length === 0) {
    throw new BnnError('E_USAGE', 'there is nothing to compare', { hint: 'give --arm, --estimators or --o-ends' });
  }
  assertOwnFolders(arms);
  return arms;
}

/**
 * Folders take letters and digits of ASCII alone from names, and some file systems do not tell A from a.
 *
 * @throws {BnnError} E_USAGE where two arms would share the folders of their runs, or the name of an arm leaves none.
 */
function assertOwnFolders(arms: readonly Arm[]): void {
  const taken = new Map<string, string>();
  for (const { name } of arms) {
    const folder = folderName(name);
    const hint = 'give it another name in --arm, of letters a to z and digits';
    if (!/[A-Za-z0-9]/.test(folder)) {
      throw new BnnError('E_USAGE', `the name of arm "${name}" leaves nothing to name the folders of its runs by`, {
        at: '--arm',
        hint,
      });
    }
    const other = taken.get(folder.toLowerCase());
    if (other !== undefined) {
      throw new BnnError(
        'E_USAGE',
        `the arms "${other}" and "${name}" would share their runs, in folders ${folder}-seed-…`,
        {
          at: '--arm',
          hint: `${hint}, in which it differs from the other`,
        },
      );
    }
    taken.set(folder.toLowerCase(), name);
  }
}

/**
 * Fields that are the comparison's own, or that would make its arms answer different questions: above all those that say which pictures
 * are tested on, since differences are paired. (How the same pictures are framed and normalized may differ.)
 */
const NO_ARM = [
  ...['seed', 'teacher', 'teacherSha256', 'validation'],
  ...['dataset', 'data', 'split', 'limitTest', 'brokenImages'],
];

/** @throws {BnnError} E_USAGE. */
function parseArm(spec: string, rules: RecipeRules): Arm {
  const colon = spec.indexOf(':');
  const name = spec.slice(0, Math.max(0, colon)).trim();
  if (name === '') {
    throw new BnnError('E_USAGE', `"${spec}" is no arm, expected NAME:FIELD=VALUE,FIELD=VALUE`, {
      at: '--arm',
      hint: "e.g. --arm 'weights only:weightEstimator=reste,activationEstimator=ste'",
    });
  }
  const overrides = new Map<string, unknown>();
  for (const part of partsOf(spec.slice(colon + 1))) {
    if (part === '') continue;
    const [given = '', ...rest] = part.split('=');
    const field = given.trim().replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const at = `arm "${name}"`;
    if (rest.length === 0) {
      throw new BnnError('E_USAGE', `"${part}" is no FIELD=VALUE`, {
        at,
        hint: 'e.g. lr=0.01; commas stand between fields, those of a value in double quotes: augment="a,b"',
      });
    }
    if (NO_ARM.includes(field)) {
      throw new BnnError('E_USAGE', `${field} cannot differ between arms`, {
        at,
        hint: 'give it as an option for all of them',
      });
    }
    if (overrides.has(field)) throw new BnnError('E_USAGE', `${field} is given twice`, { at });
    const text = rest.join('=').trim();
    overrides.set(field, fieldValue(field, /^"(.*)"$/.exec(text)?.[1] ?? text, rules));
  }
  return { name, overrides: parsedOnly(Object.fromEntries(overrides), `arm "${name}"`, rules), oEnd: null };
}

/** Split at commas, but not inside of double quotes. */
function partsOf(text: string): string[] {
  return Array.from(text.matchAll(/(?:"[^"]*"|[^",]|")+/g), ([part]) => part.trim());
}

/** As the field wants it; what does not fit stays text, of which the recipe says what is wrong. */
function fieldValue(field: string, text: string, { fields }: RecipeRules): unknown {
  const kind = Object.hasOwn(fields, field) ? fields[field]?.kind : 'string';
  if (kind === 'flag' && (text === 'true' || text === 'false')) return text === 'true';
  if ((kind === 'number' || kind === 'integer') && text !== '' && Number.isFinite(Number(text))) return Number(text);
  return text;
}

function parsedOnly(overrides: RecipeInput, at: string, rules: RecipeRules): RecipeInput {
  parseRecipe([overrides], at, rules);
  return overrides;
}

/** Beside an estimator for weights alone activations are clipped, unless the recipe names an estimator for them. */
function overridesOf(estimator: string, rows: readonly EstimatorRow[]): RecipeInput {
  const row = rows.find(({ name }) => name === estimator);
  const isForWeightsAlone = row !== undefined && !row.roles.includes('activation');
  return isForWeightsAlone ? { estimator: 'ste', weightEstimator: estimator } : { estimator };
}

/** Folder name of a run: `reste o=1.5` with seed 2 is `reste-o-1.5-seed-2`. */
export function runName(arm: Arm, seed: number): string {
  return `${folderName(arm.name)}-seed-${seed}`;
}

function folderName(arm: string): string {
  return arm.replaceAll(/[^\w.]+/g, '-');
}

/**
 * Checks that no two arms are the same training by different names.
 *
 * @throws {BnnError} E_USAGE.
 */
export function assertNoTwins(
  recipe: Recipe,
  arms: readonly Arm[],
  { rules }: Pick<ArmParts, 'rules'> = BUILT_IN,
): void {
  const names = new Map<string, string>();
  for (const { name, overrides } of arms) {
    const key = JSON.stringify(effective(parseRecipe([{ ...recipe }, overrides], undefined, rules)));
    const other = names.get(key);
    if (other !== undefined) {
      throw new BnnError('E_USAGE', `the arms "${other}" and "${name}" are the same training`, {
        hint: 'where a recipe has estimators for weights and activations apart, compare these: --arm NAME:weightEstimator=…',
      });
    }
    names.set(key, name);
  }
}

/** Fields that change nothing of what is learned, but for rounding. */
const UNLEARNED: readonly string[] = [
  'checkpointMinutes',
  'indicators',
  'teacherCache',
  'threads',
] satisfies (keyof Recipe)[];

/** The learned part of a recipe, with what stands for something else in its place. */
function effective(recipe: Recipe): Partial<Recipe> {
  const { estimator, weightEstimator, activationEstimator } = recipe;
  const [weights, activations] = [weightEstimator || estimator, activationEstimator || estimator];
  const learned = Object.fromEntries(Object.entries(recipe).filter(([field]) => !UNLEARNED.includes(field)));
  return { ...learned, estimator: activations, weightEstimator: weights, activationEstimator: activations };
}

/**
 * What one run says, with its indicators joined over the epochs. These are null where the recipe did not ask for them or the network has
 * no binary weights.
 */
export interface ArmRun extends Readonly<Record<NetworkIndicator, number | null>> {
  readonly seed: number;
  readonly epochs: number;
  /** Of the last epoch, or of the best one by held-out pictures where there are some: never chosen by the test set. */
  readonly testTop1: number;
  /** Of the same epoch; null without held-out pictures. */
  readonly validationTop1: number | null;
  readonly trainLoss: number;
  readonly seconds: number;
}

/** @param records one per epoch, at least one. */
export function summarizeRun(seed: number, records: readonly EpochRecord[]): ArmRun {
  const last = records.at(-1);
  if (last === undefined) throw new Error('internal: a run without epochs');
  const chosen = last.validationTop1 === null ? last : bestRecord(records);
  const indicators = records.flatMap((record) => record.indicators ?? []);
  const joined = Object.fromEntries(INDICATOR_NAMES.map((name) => [name, join(name, indicators, last)]));
  return {
    seed,
    epochs: records.length,
    testTop1: chosen.testTop1,
    validationTop1: chosen.validationTop1,
    trainLoss: last.trainLoss,
    seconds: records.reduce((sum, record) => sum + record.seconds, 0),
    ...(joined as Record<NetworkIndicator, number | null>),
  };
}

function join(name: NetworkIndicator, epochs: readonly EpochIndicators[], last: EpochRecord): number | null {
  const how = NETWORK_INDICATORS[name];
  if (how === 'last') return last.indicators?.[name] ?? null;
  if (epochs.length === 0) return null;
  const mean = epochs.reduce((sum, epoch) => sum + (epoch[name] ?? Number.NaN), 0) / epochs.length;
  return how === 'sum' ? mean * epochs.length : mean;
}

export const MEASURES = ['testTop1', 'validationTop1', 'trainLoss', 'seconds', ...INDICATOR_NAMES] as const;
export type Measure = (typeof MEASURES)[number];

/** The accuracy that arms are compared by: what is chosen by held-out pictures has not seen the test set. */
export const JUDGES = ['test', 'held-out'] as const;
export type Judge = (typeof JUDGES)[number];

export function judged(judge: Judge): 'testTop1' | 'validationTop1' {
  return judge === 'test' ? 'testTop1' : 'validationTop1';
}

/** How an arm's learning rate was chosen. */
export interface TuningRate {
  readonly lr: number;
  /** On held-out pictures, mean over the seeds of the tuning; null where a training diverged. */
  readonly validationTop1: number | null;
}

/** A run without results, since its loss became no number. */
export interface DivergedRun {
  readonly seed: number;
  /** When, and what became of it. */
  readonly message: string;
}

export interface ArmResult {
  readonly name: string;
  readonly overrides: RecipeInput;
  readonly oEnd: number | null;
  /** Rates that were tried, in the order given; null where the rate was not chosen. */
  readonly tuning: readonly TuningRate[] | null;
  readonly runs: readonly ArmRun[];
  /** Left out of all that follows. */
  readonly diverged: readonly DivergedRun[];
  /** Over the seeds; null where no run has the measure. */
  readonly spread: Readonly<Record<Measure, Spread | null>>;
  /** Accuracy (of the test pictures, or of the held-out ones) less that of the first arm with the same seed, over the seeds that both have; null for the first arm. */
  readonly difference: Contrast | null;
  /** Against the first arm, for the seeds whose predictions of test pictures both kept; empty for the first arm, and where held-out pictures judge. */
  readonly disagreements: readonly Disagreement[];
}

/** An arm and what was trained of it. */
export interface TrainedArm {
  readonly arm: Arm;
  readonly tuning: readonly TuningRate[] | null;
  readonly runs: readonly ArmRun[];
  readonly diverged: readonly DivergedRun[];
}

/** All arms, each against the first, their p corrected together. */
export function summarizeArms(
  trained: readonly TrainedArm[],
  judge: Judge = 'test',
): Omit<ArmResult, 'disagreements'>[] {
  const contrasts = trained.length - 1;
  const results = trained.map(({ arm, tuning, runs, diverged }, i) => ({
    ...arm,
    runs,
    diverged,
    spread: spreadsOf(runs),
    difference: i === 0 ? null : contrastOf(differencesFrom(trained[0]?.runs ?? [], runs, judged(judge)), contrasts),
    tuning,
  }));
  const differences = correctTogether(results.map(({ difference }) => difference));
  return results.map((result, i) => ({ ...result, difference: differences[i] ?? null }));
}

function spreadsOf(runs: readonly ArmRun[]): ArmResult['spread'] {
  return Object.fromEntries(
    MEASURES.map((measure) => [measure, spreadOf(runs.flatMap((run) => run[measure] ?? []))]),
  ) as ArmResult['spread'];
}

function differencesFrom(
  baseline: readonly ArmRun[],
  runs: readonly ArmRun[],
  measure: ReturnType<typeof judged>,
): number[] {
  return runs.flatMap((run) => {
    const [own, other] = [run[measure], baseline.find(({ seed }) => seed === run.seed)?.[measure] ?? null];
    return own === null || other === null ? [] : [own - other];
  });
}

/** The rate that is best on held-out pictures, the first of equals; null where all diverged. */
export function bestRate(tried: readonly TuningRate[]): number | null {
  let best: { readonly lr: number; readonly top1: number } | null = null;
  for (const { lr, validationTop1: top1 } of tried) {
    if (top1 !== null && (best === null || top1 > best.top1)) best = { lr, top1 };
  }
  return best?.lr ?? null;
}
