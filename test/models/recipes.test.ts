import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATASET_NAMES, hasFreeImageSize } from '../../src/data/load-dataset.ts';
import { type FieldSpec, parseRecipe, RECIPE_FIELDS, type RecipeInput } from '../../src/training/recipe.ts';
import { findNetwork } from '../../src/zoo/zoo.ts';

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

  it('stands in the table of the README', () => {
    expect(readFileSync(join(MODELS, 'README.md'), 'utf8')).toContain(`](${name})`);
  });
});

describe('the schema', () => {
  it('has every field, with its default', () => {
    const fields = Object.entries(schema['properties'] as Record<string, { default?: unknown }>);
    const expected = Object.entries(RECIPE_FIELDS).map(([name, spec]) => [name, spec.default]);
    expect(fields.slice(2).map(([name, field]) => [name, field.default])).toEqual(expected);
  });

  const arbitraryOf = (spec: FieldSpec): fc.Arbitrary<unknown> => {
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
      if (choice.length < 2 || spec.choices.includes(misspelt)) continue;
      expect(() => parseRecipe([{ [name]: misspelt }])).toThrow(
        expect.objectContaining({
          message: expect.stringContaining(`${name} is "${misspelt}", expected one of`),
          hint: `did you mean "${choice}"?`,
        }),
      );
    }
  }
});
