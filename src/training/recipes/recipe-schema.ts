/** The JSON schema of recipes (json-schema.org, draft 2020-12), for editors and other programs. */

import type { Field } from '../../core/field.ts';
import { RECIPE_FIELDS } from './recipe.ts';

/** What `parseRecipe` accepts in a file, as a schema. */
export function recipeSchema(): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Recipe of bnn-train',
    description: 'Everything needed to repeat a training run. Fields that are left out have their defaults.',
    type: 'object',
    additionalProperties: false,
    properties: {
      $schema: { type: 'string' },
      description: { type: 'string', description: 'for people; not used' },
      ...Object.fromEntries(Object.entries(RECIPE_FIELDS).map(([name, spec]) => [name, fieldSchema(spec)])),
    },
  };
}

function fieldSchema(spec: Field): Record<string, unknown> {
  const common = { description: spec.help, default: spec.default };
  switch (spec.kind) {
    case 'string':
      return { ...common, type: 'string' };
    case 'flag':
      return { ...common, type: 'boolean' };
    case 'choice':
      return { ...common, enum: spec.choices };
    case 'integer':
    case 'number':
      return { ...common, type: spec.kind, minimum: spec.min, maximum: spec.max };
    default:
      return spec satisfies never;
  }
}
