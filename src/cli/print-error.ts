/** The one place where errors become text and an exit code. */

import { fromFailedAllocation } from '../core/machine/memory.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import { visible } from '../report/visible-text.ts';
import { VERSION } from '../tasks/version.ts';
import type { Terminal } from './terminal.ts';

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_INTERRUPTED = 130;

/**
 * Prints an error on stderr, and with --json as an event too.
 *
 * @param program  as the user knows it: `bnn-export`.
 * @returns        the exit code.
 */
export function printError(thrown: unknown, program: string, terminal: Terminal): number {
  const error = refusalOf(thrown) ?? fromFailedAllocation(thrown, 'go on');
  if (error instanceof BnnError) {
    const { code, message, at, hint } = error;
    terminal.event('error', { code, message, at: at ?? null, hint: hint ?? null });
    const lines = [`${terminal.paint('red', `error[${code}]`)} ${program}: ${visible(message)}`];
    if (at !== undefined) lines.push(`  at ${visible(at)}`);
    if (hint !== undefined) lines.push(`  hint: ${visible(hint)}`);
    if (terminal.verbose && error.cause !== undefined) lines.push(`  cause: ${stackOf(error.cause)}`);
    terminal.error(lines.join('\n'));
    return code === 'E_USAGE' ? EXIT_USAGE : EXIT_FAILED;
  }
  const message = error instanceof Error ? error.message : String(error);
  terminal.event('error', { code: 'E_INTERNAL', message, at: null, hint: null });
  terminal.error(
    [
      `${terminal.paint('red', 'error[E_INTERNAL]')} ${program}: ${stackOf(error)}`,
      `  hint: this is a bug; please report it with the command line, this text, ${program} ${VERSION} and Node ${process.version}`,
    ].join('\n'),
  );
  return EXIT_FAILED;
}

const REFUSALS = ['EMFILE', 'ENFILE', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'EFBIG'];

/** What the system refuses wherever it is asked, such as another open file, is no bug. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof Error) || !REFUSALS.includes(systemErrorCode(error) ?? '')) return undefined;
  const { syscall, path } = error as NodeJS.ErrnoException;
  return fromSystemError(error, syscall ?? 'go on', path);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return (error.stack ?? error.message) + cause;
}
