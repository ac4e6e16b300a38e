/** Command-line options made from the recipe's table of fields, so that the two never differ. */

import { type Command, Option } from 'commander';
import type { Field } from '../core/field.ts';
import { BnnError } from '../errors.ts';
import { missingUse, RECIPE_FIELDS, type Recipe, type RecipeInput } from '../training/recipe.ts';
import { ADVANCED, anyNumber, COMMON } from './options.ts';
import { nameOf } from './usage-error.ts';

/** `warmupEpochs` → `--warmup-epochs`. */
function flagOf(field: string): string {
  return `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Adds an option for each field, common ones first. None has a default: what is not given is left to the recipe. */
export function addRecipeOptions(command: Command): void {
  for (const group of [COMMON, ADVANCED]) {
    for (const [field, spec] of Object.entries(RECIPE_FIELDS)) {
      if ((spec.common === true) !== (group === COMMON)) continue;
      for (const option of optionsOf(flagOf(field), spec)) command.addOption(option.helpGroup(group));
    }
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

/** The fields that were given on the command line. */
export function recipeFromOptions(command: Command): RecipeInput {
  const given: Record<string, unknown> = {};
  for (const field of Object.keys(RECIPE_FIELDS)) {
    if (command.getOptionValueSource(field) === 'cli') given[field] = command.getOptionValue(field);
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
): void {
  for (const field of Object.keys(recipeFromOptions(command)) as (keyof Recipe)[]) {
    const missing = recipes.map(({ recipe, overrides = {} }) =>
      Object.hasOwn(overrides, field) ? 'set by what is compared' : missingUse(field, recipe),
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
