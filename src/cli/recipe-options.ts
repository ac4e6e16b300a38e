/** Command-line options made from the recipe's table of fields, so that the two never differ. */

import { type Command, Option } from 'commander';
import { checkField, type Field } from '../core/field.ts';
import { BnnError } from '../errors.ts';
import { BUILT_IN_RULES, missingUse, type RecipeRules } from '../training/recipes/parse-recipe.ts';
import type { Parts } from '../training/recipes/parts.ts';
import type { Recipe, RecipeField, RecipeInput } from '../training/recipes/recipe.ts';
import { ADVANCED, anyNumber, COMMON } from './options.ts';
import { addPluginOption } from './plugin-options.ts';
import { nameOf } from './usage-error.ts';

/** `warmupEpochs` → `--warmup-epochs`. */
function flagOf(field: string): string {
  return `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * Adds an option for each field of this project, common ones first. None has a default: what is not given is left to the recipe.
 *
 * @param rules  say what there is to choose from.
 */
export function addRecipeOptions(command: Command, rules = BUILT_IN_RULES): void {
  const fields = Object.entries(rules.fields).filter(([field]) => isBuiltIn(field));
  for (const group of [COMMON, ADVANCED]) {
    for (const [field, spec] of fields) {
      if ((spec.common === true) === (group === COMMON)) addFieldOptions(command, field, spec, group);
    }
  }
}

function isBuiltIn(field: string): boolean {
  return Object.hasOwn(BUILT_IN_RULES.fields, field);
}

function addFieldOptions(command: Command, field: string, spec: RecipeField, group: string): void {
  for (const option of optionsOf(flagOf(field), spec)) command.addOption(option.helpGroup(group));
}

/** Adds `--plugin`, which was read before (`plugin-options.ts`), and behind all other options those of the plug-ins' fields. */
export function addPluginOptions(command: Command, { rules, plugins }: Parts): void {
  addPluginOption(command, 'a module with parts of your own (docs/extend.md)');
  for (const [field, spec] of Object.entries(rules.fields)) {
    if (isBuiltIn(field)) continue;
    const owner = rules.plugins.find((plugin) => plugin.fields.includes(field))?.name ?? '';
    const flag = flagOf(field);
    if (command.options.some(({ long }) => long === flag || long === flag.replace('--', '--no-'))) {
      throw new BnnError(
        'E_USAGE',
        `the field ${field} of the plug-in "${owner}" would be the option ${flag}, which is taken`,
        {
          at: plugins.find(({ name }) => name === owner)?.files[0],
          hint: 'rename the field',
        },
      );
    }
    addFieldOptions(command, field, spec, `Options of the plug-in "${owner}":`);
  }
}

function optionsOf(flag: string, spec: Field): Option[] {
  switch (spec.kind) {
    case 'flag': {
      const negative = flag.replace('--', '--no-');
      return [
        new Option(flag, `${spec.help}; ${negative} turns it off (default: ${spec.default ? 'on' : 'off'})`),
        new Option(negative, '').hideHelp(),
      ];
    }
    case 'string':
      return [new Option(`${flag} <${spec.value}>`, spec.help + defaultText(spec.default))];
    case 'choice': {
      const choices = spec.choices.filter((choice) => choice !== '');
      return [new Option(`${flag} <name>`, `${spec.help}: ${choices.join(', ')}${defaultText(spec.default)}`)];
    }
    case 'integer':
    case 'number':
      return [
        new Option(`${flag} <${spec.kind === 'integer' ? 'n' : 'x'}>`, spec.help + defaultText(spec.default)).argParser(
          anyNumber,
        ),
      ];
    default:
      return spec satisfies never;
  }
}

function defaultText(value: string | number): string {
  return value === '' ? '' : ` (default: ${value})`;
}

/**
 * The fields that were given on the command line.
 *
 * @throws {BnnError} E_USAGE that names the option.
 */
export function recipeFromOptions(command: Command, { fields }: RecipeRules = BUILT_IN_RULES): RecipeInput {
  const given: Record<string, unknown> = {};
  for (const [field, spec] of Object.entries(fields)) {
    if (command.getOptionValueSource(field) !== 'cli') continue;
    given[field] = command.getOptionValue(field);
    checkField(flagOf(field), spec, given[field]);
  }
  return given;
}

/**
 * Refuses options that do nothing in any of the recipes that are trained. Fields of a recipe file may: its options override them.
 *
 * @param recipes  with the fields that each sets itself, whatever the options say.
 * @throws {BnnError} E_USAGE that names the option, and what makes it do something.
 */
export function refuseUnusedFields(
  command: Command,
  recipes: readonly { readonly recipe: Recipe; readonly overrides?: RecipeInput }[],
  rules = BUILT_IN_RULES,
): void {
  for (const field of Object.keys(recipeFromOptions(command, rules))) {
    const missing = recipes.map(({ recipe, overrides = {} }) =>
      Object.hasOwn(overrides, field) ? 'set by what is compared' : missingUse(field, recipe, rules.fields),
    );
    const [reason] = missing;
    if (reason == null || missing.includes(null)) continue;
    const isSet = missing.every((text) => text === reason) && recipes.every(({ overrides = {} }) => field in overrides);
    throw new BnnError(
      'E_USAGE',
      `${flagOf(field)} does nothing here: ${isSet ? `it is ${reason}` : `it needs ${reason}`}`,
      {
        hint: isSet
          ? `leave it out, or give the list that is compared (${nameOf(command)} --help)`
          : 'leave it out, or add what it needs',
      },
    );
  }
}
