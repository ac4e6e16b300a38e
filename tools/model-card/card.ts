/** `card.json` of a model: where it comes from, what was measured, on what. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonObject } from '../../src/core/formats/parse-json.ts';
import { BnnError, fromSystemError } from '../../src/errors.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import type { Recipe } from '../../src/training/recipes/recipe.ts';
import { FIGURE_NAMES, FIGURES, type Figures } from './figures.ts';

/** The files of a model's folder; `latent` is there when the card was made with it. `history`: test accuracy by epoch. */
export const CARD_FILES = {
  card: 'card.json',
  model: 'model.onnx',
  latent: 'latent.onnx',
  readme: 'README.md',
  history: 'history.csv',
} as const;

/** Without the fields that say where the data lay: paths of one machine mean nothing on another. */
type CardRecipe = Omit<Recipe, 'data' | 'download'>;

export interface ModelCard {
  readonly version: 1;
  readonly name: string;
  /** Of the measurement: year, month, day. */
  readonly date: string;
  readonly recipe: {
    /** The file of models/ with the same fields; null when there is none. */
    readonly file: string | null;
    readonly fields: CardRecipe;
  };
  /** By what pictures network and recipe were chosen: a sentence or two, of whoever made the card. */
  readonly selection: string;
  readonly training: {
    readonly checkpoint: string;
    /** Epochs that the checkpoint has behind it, and how long they took, evaluation not counted. */
    readonly epochs: number;
    readonly seconds: number;
    readonly steps: number;
  };
  /** The file that was packed. */
  readonly latent: { readonly sha256: string; readonly fileBytes: number };
  /** Where the figures were measured. */
  readonly hardware: { readonly processor: string; readonly instructions: string; readonly memory: string };
  readonly software: {
    readonly bnnToolchain: string;
    readonly node: string;
    readonly onnxruntime: string;
    readonly tfjs: string;
  };
  readonly figures: Figures;
}

type Kind = 'text' | 'date' | 'sha256' | 'count' | 'number' | 'share' | 'object';
/** What may stand where; `?` allows null. */
type Rule = Kind | `${Kind}?` | { readonly [name: string]: Rule };

const RULES: Rule = {
  version: 'count',
  name: 'text',
  date: 'date',
  recipe: { file: 'text?', fields: 'object' },
  selection: 'text',
  training: { checkpoint: 'text', epochs: 'number', seconds: 'number', steps: 'count' },
  latent: { sha256: 'sha256', fileBytes: 'count' },
  hardware: { processor: 'text', instructions: 'text', memory: 'text' },
  software: { bnnToolchain: 'text', node: 'text', onnxruntime: 'text', tfjs: 'text' },
  figures: {
    ...Object.fromEntries(FIGURE_NAMES.map((name): [string, Rule] => [name, `${FIGURES[name].kind}?`])),
    sha256: 'sha256',
    dataFingerprint: 'sha256',
  },
};

const TESTS: Readonly<Record<Kind, readonly [expected: string, test: (value: unknown) => boolean]>> = {
  text: ['text', (value) => typeof value === 'string' && value !== ''],
  date: ['a date as 2026-01-31', (value) => typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value)],
  sha256: ['64 hexadecimal digits', (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)],
  count: ['a whole number of at least 0', (value) => Number.isSafeInteger(value) && Number(value) >= 0],
  number: ['a number of at least 0', (value) => typeof value === 'number' && value >= 0],
  share: ['a fraction between 0 and 1', (value) => typeof value === 'number' && value >= 0 && value <= 1],
  object: ['an object', isObject],
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Checks a card; every field must be there and no other.
 *
 * @throws {BnnError} E_FORMAT that names the field, what was found and what was expected.
 */
export function parseCard(text: string, at: string): ModelCard {
  const card = parseJsonObject(text, at);
  if (card['version'] !== 1) {
    throw new BnnError('E_FORMAT', `version is ${JSON.stringify(card['version'])}, expected 1`, { at });
  }
  check(card, RULES, '', at);
  const { recipe } = card as unknown as ModelCard;
  return {
    ...(card as unknown as ModelCard),
    recipe: { ...recipe, fields: toCardRecipe(parseRecipe([{ ...recipe.fields }], at)) },
  };
}

function check(value: unknown, rule: Rule, field: string, at: string): void {
  const refuse = (expected: string): BnnError =>
    new BnnError('E_FORMAT', `${field} is ${JSON.stringify(value) ?? 'missing'}, expected ${expected}`, {
      at,
      hint: 'make the card again: npx tsx tools/make-card.ts RUN --out FOLDER',
    });
  if (typeof rule === 'string') {
    const allowsNull = rule.endsWith('?');
    const [expected, test] = TESTS[rule.replace('?', '') as Kind];
    if (!test(value) && !(allowsNull && value === null)) throw refuse(allowsNull ? `${expected}, or null` : expected);
    return;
  }
  if (!isObject(value)) throw refuse('an object');
  const path = (name: string): string => (field === '' ? name : `${field}.${name}`);
  for (const [name, inner] of Object.entries(rule)) check(value[name], inner, path(name), at);
  const stranger = Object.keys(value).find((name) => !Object.hasOwn(rule, name));
  if (stranger !== undefined) {
    throw new BnnError('E_FORMAT', `${path(stranger)} is no field of a card`, { at, hint: 'remove it' });
  }
}

/** @throws {BnnError} E_NOT_FOUND when the folder has no card, E_FORMAT when it is none. */
export async function readCard(folder: string): Promise<ModelCard> {
  const path = join(folder, CARD_FILES.card);
  try {
    return parseCard(await readFile(path, 'utf8'), path);
  } catch (error) {
    throw fromSystemError(error, 'read the card', path);
  }
}

export function formatCard(card: ModelCard): string {
  return `${JSON.stringify(card, null, 2)}\n`;
}

/** A recipe without what is true of one machine only. */
export function toCardRecipe(recipe: Recipe): CardRecipe {
  const { data: _data, download: _download, ...fields } = recipe;
  const [folder = '', file = ''] = recipe.teacher.split(/[\\/]/).slice(-2);
  // Of a run or a trained model, whose files all have the same name, the folder tells which.
  return { ...fields, teacher: file === 'model.onnx' ? folder : file || folder };
}
