/**
 * Where a command writes: results on stdout, progress and diagnostics on stderr, with --json nothing but events on stdout. No control
 * character of a name gets to a terminal: `visible-text.ts`.
 */

import { randomBytes } from 'node:crypto';
import { styleText } from 'node:util';
import { fitWidth } from '../report/fit-width.ts';
import { LiveLine } from '../report/progress.ts';
import { visible, visibleLines } from '../report/visible-text.ts';

/** Version of the objects that --json prints; it grows when a field changes its meaning or goes. */
const SCHEMA_VERSION = 1;

/** Of a terminal that does not say. */
const DEFAULT_COLUMNS = 80;

const ESCAPE = '\u001b';
/** Stands for the escape character in text of `paint`, so that it is told from one in a name. */
const STYLE = randomBytes(16).toString('hex');

export const COLOR_CHOICES = ['auto', 'always', 'never'] as const;
export type ColorChoice = (typeof COLOR_CHOICES)[number];

export interface TerminalOptions {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly color?: ColorChoice | undefined;
  /** Says nothing at all: another process speaks for this one. */
  readonly silent?: boolean | undefined;
}

export class Terminal {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly #quiet: boolean;
  readonly #color: boolean;
  readonly #silent: boolean;
  readonly #line: LiveLine;

  constructor(options: TerminalOptions = {}) {
    const { json = false, verbose = false, color = 'auto', silent = false } = options;
    const quiet = options.quiet === true || silent;
    this.#silent = silent;
    this.json = json && !silent;
    this.verbose = verbose;
    this.#quiet = quiet;
    this.#color = color === 'always' || (color === 'auto' && process.stderr.isTTY === true && !process.env['NO_COLOR']);
    this.#line = new LiveLine(process.stderr, !quiet);
  }

  /** The result for people. */
  result(text: string): void {
    if (this.json || this.#silent) return;
    this.#line.clear();
    process.stdout.write(`${fitWidth(shown(text), widthOf(process.stdout))}\n`);
  }

  /** A result in the form of a file, such as CSV: in whole lines, and where it goes into a file or pipe, character by character. */
  raw(text: string): void {
    if (this.json || this.#silent) return;
    this.#line.clear();
    process.stdout.write(`${process.stdout.isTTY === true ? visibleLines(text) : text}\n`);
  }

  /** The result for programs: one line of JSON; numbers that are NaN or infinite become null. */
  event(event: string, fields: object): void {
    if (!this.json) return;
    this.#line.clear();
    process.stdout.write(`${JSON.stringify({ event, version: SCHEMA_VERSION, ...fields })}\n`);
  }

  /** Lines of progress that stay. */
  note(text: string): void {
    if (!this.#quiet) this.#line.log(fitted(text));
  }

  /** Something the user should know even with --quiet; one line. */
  warn(text: string): void {
    if (!this.#silent) this.#line.log(fitted(`${this.paint('yellow', 'warning')}: ${visible(text)}`));
  }

  /** The line that is overwritten; only on a terminal. */
  live(text: () => string): void {
    this.#line.update(() => visible(text()));
  }

  clearLive(): void {
    this.#line.clear();
  }

  /** Lines of an error. */
  error(text: string): void {
    if (!this.#silent) this.#line.log(fitted(text));
  }

  /** Text in a style, for the methods above. */
  paint(style: 'red' | 'yellow' | 'bold' | 'dim', text: string): string {
    return this.#color ? styleText(style, text, { validateStream: false }).replaceAll(ESCAPE, STYLE) : text;
  }
}

/** Characters in a line of a terminal, or as COLUMNS says; files and pipes get lines of any length. */
export function widthOf({ isTTY, columns }: { readonly isTTY?: boolean; readonly columns?: number }): number {
  const given = Number(process.env['COLUMNS']);
  if (Number.isInteger(given) && given > 0) return given;
  return isTTY === true ? columns || DEFAULT_COLUMNS : Number.POSITIVE_INFINITY;
}

function fitted(text: string): string {
  return fitWidth(shown(text), widthOf(process.stderr));
}

function shown(text: string): string {
  return visibleLines(text).replaceAll(STYLE, ESCAPE);
}
