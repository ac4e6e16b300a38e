/** Where a command writes: results on stdout, progress and diagnostics on stderr, with --json nothing but events on stdout. */

import { styleText } from 'node:util';
import { LiveLine } from '../report/progress.ts';

/** Version of the objects that --json prints; it grows when a field changes its meaning or goes. */
const SCHEMA_VERSION = 1;

export const COLOR_CHOICES = ['auto', 'always', 'never'] as const;
export type ColorChoice = (typeof COLOR_CHOICES)[number];

export interface TerminalOptions {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly color?: ColorChoice | undefined;
}

export class Terminal {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly #quiet: boolean;
  readonly #color: boolean;
  readonly #line: LiveLine;

  constructor({ json = false, quiet = false, verbose = false, color = 'auto' }: TerminalOptions = {}) {
    this.json = json;
    this.verbose = verbose;
    this.#quiet = quiet;
    this.#color = color === 'always' || (color === 'auto' && process.stderr.isTTY === true && !process.env['NO_COLOR']);
    this.#line = new LiveLine(process.stderr, !quiet);
  }

  /** The result for people. */
  result(text: string): void {
    if (this.json) return;
    this.#line.clear();
    process.stdout.write(`${text}\n`);
  }

  /** The result for programs: one line of JSON; numbers that are NaN or infinite become null. */
  event(event: string, fields: object): void {
    if (!this.json) return;
    this.#line.clear();
    process.stdout.write(`${JSON.stringify({ event, version: SCHEMA_VERSION, ...fields })}\n`);
  }

  /** A line of progress that stays. */
  note(text: string): void {
    if (!this.#quiet) this.#line.log(text);
  }

  /** Something the user should know even with --quiet. */
  warn(text: string): void {
    this.#line.log(`${this.paint('yellow', 'warning')}: ${text}`);
  }

  /** The line that is overwritten; only on a terminal. */
  live(text: () => string): void {
    this.#line.update(text);
  }

  clearLive(): void {
    this.#line.clear();
  }

  /** Text of an error, as it is. */
  error(text: string): void {
    this.#line.log(text);
  }

  paint(style: 'red' | 'yellow' | 'bold' | 'dim', text: string): string {
    return this.#color ? styleText(style, text) : text;
  }
}
