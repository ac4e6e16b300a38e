/** What commander reports, in the words and the form of this project. */

import type { Command, CommanderError } from 'commander';
import { nearest } from '../core/nearest.ts';
import { BnnError } from '../errors.ts';

/** @param command  the one that was being parsed. */
export function toUsageError(error: CommanderError, command: Command): BnnError {
  const text = error.message.replace(/^error: /, '').trim();
  const [first = text, suggestion] = text.split(/\n\(Did you mean /);
  // commander: option '--ep <name>' argument 'x' is invalid. command-argument value 'x' is invalid for argument 'what'.
  const message = first
    .replace(/^option '([^']*)' argument '(.*?)' is invalid\./s, "'$2' is no value for $1.")
    .replace(/^command-argument value '(.*?)' is invalid for argument '([^']*)'\./s, "'$1' is no value for <$2>.");
  const found = suggestion?.replace(/\?\)$/, '') ?? nearestOption(error, command) ?? nearestChoice(message);
  return new BnnError('E_USAGE', message, {
    hint: found === undefined ? `${nameOf(command)} --help lists what there is` : `did you mean ${found}?`,
  });
}

/** commander suggests only what is very close. */
function nearestOption(error: CommanderError, command: Command): string | undefined {
  const option = /unknown option '(--[^'=]+)/.exec(error.message)?.[1];
  if (option === undefined) return undefined;
  const known = command.options.flatMap(({ long }) => (long == null ? [] : [long]));
  const near = nearest(option, [...known, '--help']);
  // Two short names are always near each other.
  return option.length <= 4 ? undefined : near;
}

function nearestChoice(message: string): string | undefined {
  const [, given, choices] = /^'(.*?)' is no value for .*Allowed choices are (.*)\.$/s.exec(message) ?? [];
  return given === undefined || choices === undefined ? undefined : nearest(given, choices.split(', '));
}

/** `bnn export`, `bnn-export`. */
export function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
