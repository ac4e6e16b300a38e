/** Command-line options made from the recipe's table of fields, so that the two never differ. */

import { type Command, Option } from 'commander';
import { type FieldSpec, RECIPE_FIELDS, type RecipeInput } from '../training/recipe.ts';
import { ADVANCED, anyNumber, COMMON } from './options.ts';

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

function optionsOf(flag: string, spec: FieldSpec): Option[] {
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
