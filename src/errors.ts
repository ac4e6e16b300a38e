/** The error type of everything a user can cause. A bug in this project throws a plain `Error('internal: …')` instead. */

/** What kind of mistake it was; the command line maps `E_USAGE` to exit code 2 and every other code to 1. */
export type ErrorCode =
  | 'E_USAGE' // the command line or an API argument
  | 'E_NOT_FOUND' // a file, folder, model name or package that is not there
  | 'E_FORMAT' // bytes that are not what their name says
  | 'E_SHAPE' // sizes that do not fit each other
  | 'E_UNSUPPORTED' // well-formed, but not something this project does
  | 'E_NUMERIC' // NaN or infinity where a number was needed
  | 'E_IO' // the operating system refused: full disk, permissions
  | 'E_BACKEND' // a compute backend or execution provider is missing or failed
  | 'E_PLUGIN'; // the code of a plug-in failed, or gave what it should not

export interface ErrorContext {
  /** Where: a file, graph, node or field. */
  readonly at?: string | undefined;
  /** What to do about it: a command, a flag, a fix. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** An error that a user caused and can fix: what was found, what was expected, where, and what to do. */
export class BnnError extends Error {
  override readonly name = 'BnnError';
  readonly code: ErrorCode;
  readonly at: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.at = context.at;
    this.hint = context.hint;
  }
}

/** Returns the operating system's error code (`ENOENT`, `ENOSPC` …) or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What happened in words, and what to do about it. */
const IO_ERRORS: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOENT: ['there is no such file or folder', 'check the path'],
  EACCES: ['permission denied', 'check the permissions of the file and its folder'],
  EROFS: ['the file system is read-only', 'choose a folder on a writable file system'],
  EPERM: ['the system does not allow it', 'check the permissions of the file and its folder'],
  ENOSPC: ['no space is left on the disk', 'free some space on the disk, or choose another folder'],
  EDQUOT: ['your share of the disk is used up', 'free some space on the disk, or choose another folder'],
  EFBIG: [
    'the file would be larger than the system allows',
    'raise the limit (ulimit -f), or choose another file system',
  ],
  EMFILE: ['this process may not open more files', 'raise the limit: ulimit -n 1024'],
  ENFILE: ['the system has no more open files to give', 'end programs that have many files open'],
  EIO: ['the disk failed', 'check the disk and its connection'],
  ENAMETOOLONG: ['the name is too long', 'choose a shorter name'],
  ELOOP: ['links lead in a circle', 'check the path'],
  EISDIR: ['this is a folder', 'give a file, not a folder'],
  ENOTDIR: ['a part of the path is a file', 'give a folder, not a file'],
};

/** Turns an operating-system error into a BnnError that names the path; other errors pass unchanged. */
export function fromSystemError(error: unknown, action: string, path: string | undefined): unknown {
  const code = systemErrorCode(error);
  if (code === undefined || error instanceof BnnError) return error;
  const kind = code === 'ENOENT' || code === 'ENOTDIR' ? 'E_NOT_FOUND' : 'E_IO';
  const [what, hint] = IO_ERRORS[code] ?? [];
  const text = what === undefined ? (error instanceof Error ? error.message : String(error)) : `${what} (${code})`;
  return new BnnError(kind, `cannot ${action}: ${text}`, { at: path, hint, cause: error });
}
