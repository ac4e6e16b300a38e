import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Field } from '../../src/core/field.ts';
import type { SignRole } from '../../src/estimators/estimator.ts';
import { ESTIMATORS, type EstimatorRow } from '../../src/estimators/table.ts';
import { createEstimators } from '../../src/training/program/create-estimators.ts';
import { BUILT_IN_RULES, missingUse, parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import type { Recipe } from '../../src/training/recipes/recipe.ts';

const ROWS: readonly EstimatorRow[] = ESTIMATORS;
const FIELDS = ROWS.flatMap((row) =>
  Object.entries(row.fields).map(([field, spec]): [string, keyof Recipe, Field, EstimatorRow] => [
    row.name,
    field as keyof Recipe,
    spec,
    row,
  ]),
);

/** A recipe whose signs of the role have this estimator, and the others another. */
function recipeWith(name: string, role: SignRole, more: Readonly<Record<string, unknown>> = {}): Recipe {
  return parseRecipe([{ estimator: 'ste-identity', [`${role}Estimator`]: name, epochs: 10, ...more }]);
}

it('no name stands in the table twice', () => {
  expect(new Set(ROWS.map(({ name }) => name)).size).toBe(ROWS.length);
});

describe.each(ROWS)('$name', ({ name, roles }) => {
  it.each(['weight', 'activation'] as const)('is made for the %s it is for, and refused for others', (role) => {
    const create = () => createEstimators(recipeWith(name, role));
    if (roles.includes(role)) {
      // The identity is an STE without a limit, under its name.
      expect(create().at(0)[`${role}Estimator`].name).toBe(name === 'ste-identity' ? 'ste' : name);
      return;
    }
    const message = `${name} is an estimator for ${roles[0]}s, but ${role}s would use it as well`;
    expect(create).toThrow(expect.objectContaining({ code: 'E_USAGE', message }));
  });
});

describe.each(FIELDS)('the field of %s, %s,', (name, field, spec, row) => {
  it('is the recipe’s, and does something only where such an estimator is used', () => {
    expect(BUILT_IN_RULES.fields[field]).toMatchObject({ ...spec });
    for (const role of row.roles) expect(missingUse(field, recipeWith(name, role))).toBeNull();
    const sharing = ROWS.filter(({ fields }) => Object.hasOwn(fields, field)).map((it) => it.name);
    const without = parseRecipe([{ estimator: 'ste-identity', [field]: spec.default || 0.5 }]);
    expect(missingUse(field, without)).toBe(`estimator ${sharing.join(' or ')}`);
  });

  it('shapes the slope', () => {
    if (spec.kind !== 'number') throw new Error(`internal: this test knows numbers only, not ${spec.kind}`);
    const [role = 'weight'] = row.roles;
    // What is 0 unless told does nothing until it is.
    const slopes = [spec.default, Number(spec.default) / 2 || 0.5].map((value) => {
      const recipe = recipeWith(name, role, { [field]: value });
      const estimator = createEstimators(recipe).at(5)[`${role}Estimator`];
      return [0.01, 0.06, 0.3, 0.6, 0.9, 1.2].map((z) => estimator.factor(z));
    });
    expect(slopes[0]).not.toEqual(slopes[1]);
  });
});

it('docs/methods.md names every estimator, and says of which only the slope is here', () => {
  const page = readFileSync(new URL('../../docs/methods.md', import.meta.url), 'utf8');
  for (const { name, slopeOnly } of ROWS) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` `));
    expect(row, name).toBeDefined();
    if (slopeOnly === undefined) expect(row).not.toContain('slope only');
    else expect(row).toContain(`slope only: ${slopeOnly}`);
  }
});
