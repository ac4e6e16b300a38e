/** What commander reports, in the words and the form of this project. */

import type { Command, CommanderError } from 'commander';
import { nearest } from '../core/nearest.ts';
import { BnnError } from '../errors.ts';

/** @param command  the one that was being parsed. */
export function toUsageError(error: CommanderError, command: Command): BnnError {
  const text = error.message.replace(/^error: /, '').trim();
  const [message = text, suggestion] = text.split(/\n\(Did you mean /);
  const found = suggestion?.replace(/\?\)$/, '') ?? nearestOption(error, command);
  return new BnnError('E_USAGE', message, {
    hint: found === undefined ? `${nameOf(command)} --help lists what there is` : `did you mean ${found}?`,
  });
}

/** commander suggests only what is very close. */
function nearestOption(error: CommanderError, command: Command): string | undefined {
  const option = /unknown option '(--[^'=]+)/.exec(error.message)?.[1];
  if (option === undefined) return undefined;
  const known = command.options.flatMap(({ long }) => (long == null ? [] : [long]));
  return nearest(option, [...known, '--help']);
}

/** `bnn export`, `bnn-export`. */
export function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${command.parent.name()} ${command.name()}`;
}
