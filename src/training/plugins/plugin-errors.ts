/** Errors in the code of a plug-in, with the place in the user's file. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeValue } from '../../core/describe-value.ts';
import { BnnError } from '../../errors.ts';

/** A plug-in by its files. */
export interface PluginFiles {
  readonly name: string;
  /** Absolute paths; none for a plug-in that was given as an object. */
  readonly files: readonly string[];
}

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number | undefined;
}

/** A frame of a stack, or the line above a syntax error; paths are absolute or URLs. */
const PLACE = /((?:file:\/\/)?\/[^\s()]*?|(?:file:\/\/\/)?[A-Za-z]:[\\/][^\s()]*?)(?:\?[^\s:)]*)?:(\d+)(?::(\d+))?\)?$/;

/**
 * What went wrong inside a plug-in, said with its file, line and the text there; any other error as it is. Errors of this project that
 * a plug-in caused by what it called keep their code and words.
 */
export function fromPluginError(error: unknown, plugins: readonly PluginFiles[]): unknown {
  if (!(error instanceof Error)) return fromThrownValue(error, plugins);
  if (error instanceof BnnError && error.at !== undefined) return error;
  for (const { name, files } of plugins) {
    const place = placeIn(error, files);
    if (place === undefined) continue;
    const known = error instanceof BnnError ? error : undefined;
    const kind = error.name === 'Error' || known !== undefined ? '' : `${error.name}: `;
    return new BnnError(known?.code ?? 'E_PLUGIN', `in the plug-in "${name}": ${kind}${error.message}`, {
      at: describe(place),
      hint: known?.hint ?? 'the error is in the code of the plug-in; -v shows where it was called from',
      cause: error,
    });
  }
  return error;
}

/** Nothing in this project throws what is no Error; it has no place. */
function fromThrownValue(value: unknown, plugins: readonly PluginFiles[]): unknown {
  const [first] = plugins;
  if (first === undefined) return value;
  const names = plugins.map(({ name }) => `"${name}"`).join(' or ');
  return new BnnError('E_PLUGIN', `in the plug-in ${names}: ${describeValue(value)} was thrown, expected an Error`, {
    at: plugins.length === 1 ? first.files[0] : undefined,
    hint: "throw new Error('…') tells the place",
    cause: value,
  });
}

/**
 * Where the syntax of a file is wrong: Node tells that of modules only on the error output of a process.
 *
 * @returns  undefined where it cannot be told.
 */
export function syntaxErrorPlace(files: readonly string[]): string | undefined {
  for (const file of files.filter((path) => /\.m?js$/.test(path))) {
    const args = ['--input-type=module', '--check', '-'];
    const { status, stderr } = spawnSync(process.execPath, args, { input: readFileSync(file), encoding: 'utf8' });
    const [first = '', , carets = ''] = (stderr ?? '').split('\n');
    const line = /:(\d+)$/.exec(first)?.[1];
    if (status === 0 || line === undefined) continue;
    return describe({ file, line: Number(line), column: carets.includes('^') ? carets.indexOf('^') + 1 : undefined });
  }
  return undefined;
}

/** The innermost frame in one of the files. What only waits for the call (`at async`) did not make it fail. */
function placeIn(error: Error, files: readonly string[]): Place | undefined {
  for (const text of (error.stack ?? '').split('\n')) {
    if (/^\s*at async /.test(text)) continue;
    const [, given = '', line, column] = PLACE.exec(text.trim()) ?? [];
    const file = given.startsWith('file:') ? fileURLToPath(given) : given;
    if (!files.includes(file)) continue;
    return { file, line: Number(line), column: column === undefined ? undefined : Number(column) };
  }
  return undefined;
}

function describe({ file, line, column }: Place): string {
  const path = relative(process.cwd(), file);
  const shown = path.startsWith('..') || path === '' ? file : path;
  const text = lineOf(file, line);
  return `${shown}:${line}${column === undefined ? '' : `:${column}`}${text === '' ? '' : `: ${text}`}`;
}

function lineOf(file: string, line: number): string {
  try {
    return (readFileSync(file, 'utf8').split('\n')[line - 1] ?? '').trim();
  } catch {
    return '';
  }
}
