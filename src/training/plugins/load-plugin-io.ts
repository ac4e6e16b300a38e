/** Plug-ins from their files: imported, and known by a digest of all that they are made of. */

import { realpath, stat } from 'node:fs/promises';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sha256 } from '../../core/files/digests-io.ts';
import { readRegularFile } from '../../core/files/regular-file-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import type { Plugin, PluginFactory } from './plugin.ts';
import { fromPluginError, syntaxErrorPlace } from './plugin-errors.ts';

/** A path, or the plug-in itself. */
export type PluginSource = string | Plugin | PluginFactory;

export interface LoadedPlugin {
  readonly definition: Plugin | PluginFactory;
  /** Of the file alone where it names no others; else of the digests and relative paths of all. */
  readonly sha256: string;
  /** Absolute paths, the plug-in's own first; none for one that was given as an object. */
  readonly files: readonly string[];
}

/**
 * @throws {BnnError} E_NOT_FOUND, E_FORMAT for a file that is no plug-in, E_UNSUPPORTED for TypeScript where Node does not take it,
 *   E_PLUGIN with file and line for an error in it.
 */
export async function loadPlugin(source: PluginSource | LoadedPlugin): Promise<LoadedPlugin> {
  if (typeof source === 'object' && 'definition' in source) return source;
  if (typeof source !== 'string') return { definition: source, sha256: sha256(textOf(source)), files: [] };
  const path = await realPath(resolve(source));
  const digests = await digestFiles(path);
  assertAsImported(digests);
  const files = [...digests.keys()];
  const definition = definitionOf(await importPlugin(path, files), path);
  for (const [file, digest] of digests) imported.set(file, digest);
  return { definition, sha256: digestOf(path, digests), files };
}

/** As stacks name it: Node follows links. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw fromSystemError(error, 'read the plug-in', path);
  }
}

/** What this process has imported: Node keeps modules, so a file that changed since is not what runs. */
const imported = new Map<string, string>();

/** @throws {BnnError} E_USAGE for a file that this process imported as it was before. */
function assertAsImported(digests: ReadonlyMap<string, string>): void {
  for (const [path, digest] of digests) {
    const before = imported.get(path) ?? digest;
    if (before !== digest) {
      throw new BnnError('E_USAGE', 'the file of a plug-in was changed since this process imported it', {
        at: path,
        hint: 'start a new process',
      });
    }
  }
}

/** Relative paths in quotes: what is imported, and files beside the code such as `new URL('./table.json', import.meta.url)`. */
const RELATIVE = /(['"`])(\.{1,2}\/[^'"`\n]+)\1/g;
const CODE = /\.[cm]?[jt]sx?$/;

/** Digests of a file and of all files that it and they name, by path. */
async function digestFiles(path: string, found = new Map<string, string>()): Promise<Map<string, string>> {
  const bytes = await readRegularFile(path);
  found.set(path, sha256(bytes));
  if (!CODE.test(path)) return found;
  for (const [, , name = ''] of new TextDecoder().decode(bytes).matchAll(RELATIVE)) {
    const named = join(dirname(path), name);
    if (!found.has(named) && (await isFile(named))) await digestFiles(named, found);
  }
  return found;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function digestOf(path: string, digests: ReadonlyMap<string, string>): string {
  const [only = ''] = digests.values();
  if (digests.size === 1) return only;
  const lines = Array.from(digests, ([file, digest]) => `${digest}  ${relative(dirname(path), file)}\n`);
  return sha256(lines.sort().join(''));
}

async function importPlugin(path: string, files: readonly string[]): Promise<unknown> {
  try {
    return ((await import(pathToFileURL(path).href)) as { readonly default?: unknown }).default;
  } catch (error) {
    throw importError(error, path, files);
  }
}

function importError(error: unknown, path: string, files: readonly string[]): unknown {
  const code = systemErrorCode(error);
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && /^\.[cm]?ts$/.test(extname(path))) {
    return new BnnError('E_UNSUPPORTED', `Node ${process.versions.node} does not run TypeScript`, {
      at: path,
      hint: `Node 22.18 and later do; or compile it first: npx esbuild ${relative(process.cwd(), path)} --outfile=${relative(process.cwd(), path).replace(/ts$/, 'js')}`,
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ERR_MODULE_NOT_FOUND' && /'(?:bnn-toolchain|@tensorflow\/tfjs-core)'/.test(message)) {
    return new BnnError(
      'E_NOT_FOUND',
      `the plug-in imports a package that is not installed where it lies: ${message}`,
      {
        at: path,
        hint: 'take what it needs from the argument instead: export default ({ tf, define }) => ({ … })',
        cause: error,
      },
    );
  }
  const located = fromPluginError(error, [{ name: relative(process.cwd(), path), files }]);
  if (located instanceof BnnError) return located;
  const at = syntaxErrorPlace(files) ?? path;
  return new BnnError('E_PLUGIN', `the plug-in cannot be imported: ${message}`, { at, cause: error });
}

/** @throws {BnnError} E_FORMAT. */
function definitionOf(found: unknown, path: string): Plugin | PluginFactory {
  if (typeof found === 'function' || (typeof found === 'object' && found !== null)) {
    return found as Plugin | PluginFactory;
  }
  throw new BnnError(
    'E_FORMAT',
    `the file exports ${found === undefined ? 'nothing' : typeof found} as its default, expected a plug-in`,
    {
      at: path,
      hint: "export default ({ define }) => ({ name: 'mine', estimators: [ … ] }); see docs/extend.md",
    },
  );
}

/** A plug-in as text: data by value, functions by their source. */
function textOf(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value === 'function') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return String(JSON.stringify(value));
  if (seen.has(value)) return '';
  seen.add(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${key}:${textOf(item, seen)}`).join()}}`;
}
