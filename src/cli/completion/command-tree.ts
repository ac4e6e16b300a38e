/** What can be completed, read off the commands themselves. */

import type { Command, Option } from 'commander';
import { packageModels, packageRecipes } from '../../inference/package-models-io.ts';
import { BUILT_IN_RULES } from '../../training/recipes/parse-recipe.ts';
import { zooNames } from '../../zoo/zoo.ts';

export interface CompletedOption {
  readonly flag: string;
  readonly help: string;
  /** Whether a value follows; one that may be left out does not count. */
  readonly takesValue: boolean;
  /** What the value can be; empty: a file, or anything. */
  readonly choices: readonly string[];
}

export interface CompletedCommand {
  /** `bnn bench conv`. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly help: string }[];
  readonly options: readonly CompletedOption[];
  /** What the first argument can be, besides files. */
  readonly choices: readonly string[];
}

/** The commands below `root` and itself, each before those below it. */
export function commandTree(root: Command, path = root.name()): CompletedCommand[] {
  const visible = root.options.filter(({ hidden }) => !hidden);
  const own: CompletedCommand = {
    path,
    commands: root.commands.map((command) => ({
      name: command.name(),
      help: command.summary() || firstSentence(command),
    })),
    options: [
      ...visible.flatMap(completedOption),
      { flag: '--help', help: 'print this help', takesValue: false, choices: [] },
    ],
    choices: choicesOfArgument(root),
  };
  return [own, ...root.commands.flatMap((command) => commandTree(command, `${path} ${command.name()}`))];
}

function completedOption(option: Option): CompletedOption[] {
  if (option.long == null) return [];
  const { long: flag, description: help, required: takesValue } = option;
  return [{ flag, help: help.split(/[;:(]/)[0]?.trim() ?? '', takesValue, choices: choicesOf(option) }];
}

/** What is taken by name where a text stands. */
const NAMES: Readonly<Record<string, () => string[]>> = {
  recipe: packageRecipes,
  model: () => packageModels().map(({ name }) => name),
};
const OPTION_NAMES: Readonly<Record<string, () => string[]>> = {
  ...NAMES,
  model: zooNames,
  init: () => packageModels().map(({ name }) => name),
};

/** Fields of a recipe are checked with the recipe, so commander does not know their choices. */
function choicesOf(option: Option): readonly string[] {
  if (option.argChoices !== undefined) return option.argChoices;
  const field = option.required ? BUILT_IN_RULES.fields[option.attributeName()] : undefined;
  if (field?.kind === 'choice') return field.choices.filter((choice) => choice !== '');
  return OPTION_NAMES[option.attributeName()]?.() ?? [];
}

function choicesOfArgument(command: Command): readonly string[] {
  const [first] = command.registeredArguments;
  if (first === undefined) return [];
  return first.argChoices ?? NAMES[first.name()]?.() ?? [];
}

function firstSentence(command: Command): string {
  return command.description().split(/[.:;]/)[0] ?? '';
}
