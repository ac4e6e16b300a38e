import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Field } from '../../src/core/field.ts';
import { DATASET_NAMES, hasFreeImageSize } from '../../src/data/load-dataset.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { RECIPE_FIELDS, type RecipeInput } from '../../src/training/recipes/recipe.ts';
import { findNetwork, ZOO } from '../../src/zoo/zoo.ts';

const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
const SCHEMA = 'recipe.schema.json';
const readJson = (name: string): Record<string, unknown> => JSON.parse(readFileSync(join(MODELS, name), 'utf8'));
const schema = readJson(SCHEMA);

/** The keywords of JSON schema that ours uses, by their definition; others are refused, so that none goes untested. */
function isValid(value: unknown, rules: Record<string, unknown>): boolean {
  return Object.entries(rules).every(([keyword, rule]) => {
    switch (keyword) {
      case '$schema':
      case 'title':
      case 'description':
      case 'default':
      case 'additionalProperties':
        return true;
      case 'type':
        if (rule === 'integer') return typeof value === 'number' && Number.isInteger(value);
        if (rule === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
        return typeof value === rule;
      case 'enum':
        return (rule as unknown[]).includes(value);
      case 'minimum':
        return typeof value !== 'number' || value >= (rule as number);
      case 'maximum':
        return typeof value !== 'number' || value <= (rule as number);
      case 'properties':
        return Object.entries(value as object).every(([name, entry]) => {
          const known = rule as Record<string, Record<string, unknown>>;
          return Object.hasOwn(known, name) ? isValid(entry, known[name]!) : rules['additionalProperties'] !== false;
        });
      default:
        throw new Error(`a keyword that this test does not know: ${keyword}`);
    }
  });
}

function parses(recipe: RecipeInput): boolean {
  try {
    parseRecipe([recipe]);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ name: 'BnnError', code: 'E_USAGE' });
    return false;
  }
}

const recipes = readdirSync(MODELS).filter((name) => name.endsWith('.json') && name !== SCHEMA);

describe.each(recipes)('%s', (name) => {
  const recipe = readJson(name);

  it('is a recipe, by the parser and by the schema', () => {
    expect(recipe['$schema']).toBe(`./${SCHEMA}`);
    expect(recipe['description']).toMatch(/\.$/);
    expect(isValid(recipe, schema)).toBe(true);
    expect(() => parseRecipe([recipe], name)).not.toThrow();
  });

  it('names a network and a data set, and fits them', () => {
    const { model, dataset, cropScale, padCrop, epochs, warmupEpochs, data } = parseRecipe([recipe]);
    expect(findNetwork(model).name).toBe(model);
    expect(DATASET_NAMES).toContain(dataset);
    if (cropScale > 0) expect([hasFreeImageSize(dataset), padCrop]).toEqual([true, 0]);
    expect(warmupEpochs).toBeLessThan(epochs);
    expect(data).toBe('');
  });

  it('names a teacher of the package by its digest', () => {
    const { teacher, teacherSha256 } = parseRecipe([recipe]);
    if (teacher === '') return;
    const bytes = readFileSync(join(MODELS, teacher, 'model.onnx'));
    expect(teacherSha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('stands in the table of the README', () => {
    expect(readFileSync(join(MODELS, 'README.md'), 'utf8')).toContain(`](${name})`);
  });
});

/** The columns of the README's table that has a row for this recipe, by title. */
function rowOf(recipe: string): Record<string, string> {
  const lines = readFileSync(join(MODELS, 'README.md'), 'utf8').split('\n');
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const at = lines.findIndex((line) => line.startsWith('|') && line.includes(`](${recipe})`));
  let head = at;
  while (lines[head - 1]!.startsWith('|')) head--;
  return Object.fromEntries(cells(lines[head]!).map((title, i) => [title, cells(lines[at]!)[i]!]));
}

describe.each(recipes)('numbers about %s', (name) => {
  const recipe = parseRecipe([readJson(name)]);

  it('in the README are those of the recipe', () => {
    const row = rowOf(name);
    expect(row['network']).toBe(recipe.model);
    expect(Number(row['epochs'])).toBe(recipe.epochs);
    if (row['batch'] !== undefined) expect(Number(row['batch'])).toBe(recipe.batchSize);
    if (row['optimizer'] !== undefined)
      expect(row['optimizer'].toLowerCase()).toContain(`${recipe.optimizer} ${recipe.lr}`);
  });
});

it('what the zoo suggests for a network is what one of its recipes says', () => {
  const all = recipes.map((name) => parseRecipe([readJson(name)]));
  const suggested = [...ZOO.values()].filter(({ name }) => all.some(({ model }) => model === name));
  expect(suggested.length).toBeGreaterThan(8);
  for (const { name, recipe: hints } of suggested) {
    const candidates = all
      .filter(({ model }) => model === name)
      .map(({ epochs, batchSize, optimizer, lr, momentum, weightDecay, warmupEpochs, oEnd }) => {
        return { epochs, batchSize, optimizer, learningRate: lr, momentum, weightDecay, warmupEpochs, oEnd };
      });
    expect(candidates, name).toContainEqual(hints);
  }
});

it('trained models say of their recipe what its file says', () => {
  const cards = readdirSync(MODELS).filter((name) => existsSync(join(MODELS, name, 'card.json')));
  expect(cards.length).toBeGreaterThan(0);
  for (const card of cards) {
    const { recipe, training } = readJson(join(card, 'card.json')) as {
      recipe: { file: string; fields: Record<string, unknown> };
      training: { epochs: number };
    };
    const { epochs, batchSize, lr, optimizer } = parseRecipe([readJson(recipe.file)]);
    expect(recipe.fields).toMatchObject({ epochs, batchSize, lr, optimizer });
    expect(training.epochs).toBe(epochs);
  }
});

describe('the schema', () => {
  it('has every field, with its default', () => {
    const fields = Object.entries(schema['properties'] as Record<string, { default?: unknown }>);
    const expected = Object.entries(RECIPE_FIELDS).map(([name, spec]) => [name, spec.default]);
    expect(fields.slice(2).map(([name, field]) => [name, field.default])).toEqual(expected);
  });

  const arbitraryOf = (spec: Field): fc.Arbitrary<unknown> => {
    switch (spec.kind) {
      case 'string':
        return fc.string();
      case 'flag':
        return fc.boolean();
      case 'choice':
        return fc.oneof(fc.constantFrom(...spec.choices), fc.string());
      default: {
        const { min, max } = spec;
        return fc.oneof(
          fc.constantFrom(min, max, min - 1, max + 1, (min + max) / 2),
          fc.integer(),
          fc.double({ noNaN: true, noDefaultInfinity: true }),
        );
      }
    }
  };

  it('agrees with the parser on single fields, good and bad', () => {
    const field = fc.constantFrom(...(Object.keys(RECIPE_FIELDS) as (keyof typeof RECIPE_FIELDS)[])).chain((name) => {
      const value = fc.oneof({ weight: 4, arbitrary: arbitraryOf(RECIPE_FIELDS[name]) }, fc.jsonValue());
      return value.map((some) => ({ [name]: some }));
    });
    let good = 0;
    fc.assert(
      fc.property(field, (recipe) => {
        const parsed = parses(recipe);
        if (parsed) good++;
        expect(isValid(recipe, schema)).toBe(parsed);
      }),
      { numRuns: 2000 },
    );
    expect(good).toBeGreaterThan(300);
    expect(good).toBeLessThan(1700);
  });

  it('agrees with the parser on whole recipes, with unknown fields among them', () => {
    const fields = Object.fromEntries(
      Object.entries(RECIPE_FIELDS).map(([name, spec]) => [name, fc.constant(spec.default)]),
    );
    const known = fc.record(fields, { requiredKeys: [] });
    const unknown = fc.dictionary(fc.constantFrom('epoch', 'learningRate', 'toString', 'x'), fc.boolean(), {
      maxKeys: 1,
    });
    fc.assert(
      fc.property(known, unknown, fc.string(), (a, b, description) => {
        const recipe = { ...a, ...b, description, $schema: `./${SCHEMA}` };
        expect(parses(recipe)).toBe(Object.keys(b).length === 0);
        expect(isValid(recipe, schema)).toBe(Object.keys(b).length === 0);
      }),
    );
  });
});

// Any field and any choice with its last letter twice leads back to the right one.
it('errors name the field and the nearest valid one', () => {
  for (const [name, spec] of Object.entries(RECIPE_FIELDS)) {
    const typo = name + name.at(-1);
    expect(() => parseRecipe([{ [typo]: 1 }])).toThrow(
      expect.objectContaining({ message: `unknown recipe field "${typo}"`, hint: `did you mean "${name}"?` }),
    );
    if (spec.kind !== 'choice') continue;
    for (const choice of spec.choices) {
      const misspelt = choice + choice.at(-1);
      if (choice.length < 2 || (spec.choices as readonly string[]).includes(misspelt)) continue;
      expect(() => parseRecipe([{ [name]: misspelt }])).toThrow(
        expect.objectContaining({
          message: expect.stringContaining(`${name} is "${misspelt}", expected one of`),
          hint: `did you mean "${choice}"?`,
        }),
      );
    }
  }
});
