/** Options that all commands share, and how their values are read. */

import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { isFollower } from '../distributed/launcher.ts';
import { VERSION } from '../tasks/version.ts';
import { COLOR_CHOICES, Terminal, type TerminalOptions } from './terminal.ts';

export const COMMON = 'Common options:';
export const ADVANCED = 'Advanced options:';
const GENERAL = 'General options:';
/** Behind an indent of two. */
const EXAMPLE_COLUMNS = 77;

/** More than the processor has only wait for each other; thousands take minutes to start. */
export const MOST_THREADS = Math.max(64, availableParallelism());

export interface GeneralOptions extends TerminalOptions {
  readonly threads?: number;
}

/** Adds the options that every command has, last in the help. */
export function addGeneralOptions(command: Command, { threads = true } = {}): Command {
  command.optionsGroup(GENERAL);
  if (threads)
    command.option(
      '--threads <n>',
      `threads; 0 = as many as suit, this machine has ${availableParallelism()} (default: 0)`,
      wholeNumber(0, MOST_THREADS),
    );
  command
    .option('--json', 'print results as one JSON object per line on stdout')
    .option('--quiet', 'no progress on stderr')
    .option('-v, --verbose', 'say more')
    .addOption(
      new Option('--color <when>', 'colours on the terminal; NO_COLOR is respected (default: auto)').choices(
        COLOR_CHOICES,
      ),
    );
  return addProgramOptions(command);
}

/** The options that also stand before a command. */
export function addProgramOptions(command: Command): Command {
  return command
    .optionsGroup(GENERAL)
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help');
}

export function terminalOf(options: GeneralOptions): Terminal {
  return new Terminal({ ...options, silent: isFollower() });
}

/** Examples at the end of the help. */
export function addExamples(command: Command, examples: readonly (readonly [line: string, what: string])[]): Command {
  const lines = examples.flatMap(([line, what]) => [
    ...breakWords(`# ${what}`, '# ', ''),
    ...breakWords(line, '  ', ' \\'),
  ]);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/** Lines that a terminal of 80 columns shows whole, and that a shell takes as they are. */
function breakWords(text: string, next: string, end: string): string[] {
  const lines = [''];
  for (const word of text.match(/'[^']*'|\S+/g) ?? []) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length + end.length < EXAMPLE_COLUMNS)
      lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    else lines.push(next + word);
  }
  return lines.map((line, i) => `  ${line}${i < lines.length - 1 ? end : ''}`);
}

/** Reads a whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** Reads whole numbers of at least `least`, with commas between them. */
export function wholeNumbers(least: number): (text: string) => number[] {
  const read = wholeNumber(least);
  return (text) => text.split(',').map((part) => read(part.trim()));
}

/** Reads any finite number. */
export function anyNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Expected a number.');
}
