/** Completing and checking recipes. */

import { checkField } from '../../core/field.ts';
import { nearest } from '../../core/nearest.ts';
import { BnnError } from '../../errors.ts';
import { type PluginRecord, RECIPE_FIELDS, type Recipe, type RecipeField, type RecipeInput } from './recipe.ts';
import { CHOICES, type ChoiceKind } from './recipe-choices.ts';

/** What a recipe may hold: the fields of this project, and those of plug-ins where there are some. */
export interface RecipeRules {
  readonly fields: Readonly<Record<string, RecipeField>>;
  readonly plugins: readonly RecipePlugin[];
  /** Takes fields and names of plug-ins that are not here: to look at a recipe, not to train by it. */
  readonly isOpen?: true;
}

interface RecipePlugin extends PluginRecord {
  /** Names of its fields. */
  readonly fields: readonly string[];
  /** Names of its parts. */
  readonly parts: Readonly<Record<ChoiceKind, readonly string[]>>;
}

export const BUILT_IN_RULES: RecipeRules = { fields: RECIPE_FIELDS, plugins: [] };

/** All fields at their defaults. */
export function defaultRecipe(): Recipe {
  return parseRecipe([]);
}

/** What a field lacks to do something in this recipe; null when it does, or is switched off. */
export function missingUse(field: string, recipe: Recipe, fields = BUILT_IN_RULES.fields): string | null {
  const value = (recipe as RecipeInput)[field];
  const isOff = value === false || value === 0 || value === '' || value === 'none';
  const { use } = fields[field] ?? {};
  return isOff || use === undefined || use.isUsed(recipe) ? null : use.needs;
}

/**
 * Completes and checks a recipe: later objects override earlier ones; `description` and `$schema` are allowed and dropped.
 *
 * @param rules  those of plug-ins; of this project alone unless told.
 * @throws {BnnError} E_USAGE that names the field, what was found and what is allowed; E_FORMAT for another version of a plug-in than
 *   the recipe names.
 */
export function parseRecipe(inputs: readonly RecipeInput[], at?: string, rules = BUILT_IN_RULES): Recipe {
  const { fields } = rules;
  const recipe: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) recipe[name] = field.default;
  let named: readonly PluginRecord[] = [];
  for (const input of inputs) {
    if (input['plugins'] !== undefined) named = checkPlugins(input['plugins'], rules, at);
    for (const [name, value] of Object.entries(input)) {
      if (name === 'description' || name === '$schema' || name === 'plugins' || value === undefined) continue;
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (field !== undefined && !(rules.isOpen === true && field.kind === 'choice'))
        checkField(name, field, value, at);
      else if (field === undefined && rules.isOpen !== true) throw unknownField(name, fields, at);
      recipe[name] = value;
    }
  }
  const parsed = recipe as Recipe;
  if (rules.isOpen === true) return named.length === 0 ? parsed : { ...parsed, plugins: named };
  return withPluginsInUse(parsed, rules);
}

function unknownField(name: string, fields: RecipeRules['fields'], at: string | undefined): BnnError {
  const near = nearest(name, Object.keys(fields));
  return new BnnError('E_USAGE', `unknown recipe field "${name}"`, {
    at,
    hint: near === undefined ? `fields: ${Object.keys(fields).join(', ')}` : `did you mean "${near}"?`,
  });
}

/** @throws {BnnError} E_USAGE for a plug-in that is not given, E_FORMAT for another version of it. */
function checkPlugins(value: unknown, rules: RecipeRules, at: string | undefined): readonly PluginRecord[] {
  const isRecord = (it: unknown): it is Partial<PluginRecord> & { name: string } =>
    typeof it === 'object' && it !== null && 'name' in it && typeof it.name === 'string';
  if (!Array.isArray(value) || !value.every(isRecord)) {
    throw new BnnError('E_USAGE', `plugins is ${JSON.stringify(value)}, expected a list of { "name", "sha256" }`, {
      at,
    });
  }
  return value.map(({ name, sha256 = '' }) => {
    if (rules.isOpen === true) return { name, sha256 };
    const found = rules.plugins.find((plugin) => plugin.name === name);
    if (found === undefined) {
      throw new BnnError('E_USAGE', `the recipe needs the plug-in "${name}", which is not given`, {
        at,
        hint: 'add --plugin FILE, the file that it was made with',
      });
    }
    if (sha256 !== '' && sha256 !== found.sha256) {
      throw new BnnError(
        'E_FORMAT',
        `the plug-in "${name}" has SHA-256 ${found.sha256.slice(0, 12)}…, the recipe names ${sha256.slice(0, 12)}…`,
        {
          at,
          hint: 'give the plug-in as it was; a run with a changed one starts anew: leave "plugins" out of the recipe, or start from the weights with --init RUN',
        },
      );
    }
    return { name, sha256: found.sha256 };
  });
}

/** The recipe with the plug-ins that it needs, and without the fields of others. */
function withPluginsInUse(recipe: Recipe, { plugins, fields }: RecipeRules): Recipe {
  const values: Record<string, unknown> = { ...recipe };
  const used = plugins.filter((plugin) => {
    const isChosen = Object.entries(CHOICES).some(([kind, { chosen }]) =>
      chosen(recipe).some((name) => plugin.parts[kind as ChoiceKind].includes(name)),
    );
    if (isChosen || plugin.fields.some((name) => values[name] !== fields[name]?.default)) return true;
    for (const name of plugin.fields) delete values[name];
    return false;
  });
  if (used.length > 0) values['plugins'] = used.map(({ name, sha256 }) => ({ name, sha256 }));
  return values as unknown as Recipe;
}
