/** Where the native files lie: built here, or prebuilt in the package of this platform. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Found, found, obstacle } from '../found.ts';
import { assertCompleteLibrary } from './complete-library-io.ts';
import { type NativeFiles, nativeFiles, platformName, platformPackage } from './native-files.ts';

export interface NativeFile {
  readonly path: string;
  /** For people: `built here`, or the package with its version. */
  readonly origin: string;
  readonly isPrebuilt: boolean;
}

/** What the files are called in messages. */
const TITLES: Readonly<Record<keyof NativeFiles, string>> = {
  training: 'native addon',
  session: 'addon for onnxruntime',
  operators: 'operator library',
};

/** Of the variable BNN_NATIVE. */
function isChoice(wanted: string): boolean {
  return ['', 'built', 'prebuilt', 'none'].includes(wanted);
}

const SETUP_HINT = 'bnn setup native builds it here (it needs a C++ compiler: g++ or clang++)';

/** Both `src/core/machine` and `dist/core/machine` lie three levels below the package. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function versionOf(manifest: string): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}

/** Where `bnn setup native` builds: in the package, or, where that cannot be written, in the user's cache. */
export function buildFolders(): readonly [inPackage: string, inCache: string] {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const name = `${versionOf(join(ROOT, 'package.json'))}-${process.platform}-${process.arch}`;
  return [join(ROOT, 'build'), join(cache, 'bnn-toolchain', 'native', name)];
}

/**
 * The first native file that loads: one that was built here, unless it is older than its sources and there is a prebuilt one; else that
 * of the platform's package. The variable BNN_NATIVE chooses: `built`, `prebuilt`, or `none` for tests of what works without.
 *
 * @param load  throws where the file does not load.
 * @returns     what `load` returned and the file, or why there is none.
 */
export function loadNativeFile<T>(
  kind: keyof NativeFiles,
  load: (file: NativeFile) => T,
): Found<{ readonly file: NativeFile; readonly value: T }> {
  const { files, lacks } = findNativeFiles(kind);
  for (const file of files) {
    try {
      if (existsSync(file.path)) assertCompleteLibrary(file.path);
      return found({ file, value: load(file) });
    } catch (error) {
      lacks.push(`that ${file.origin} does not load: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const hint = isChoice(process.env['BNN_NATIVE'] ?? '') ? SETUP_HINT : 'unset BNN_NATIVE';
  return obstacle(`there is no ${TITLES[kind]} (${lacks.join('; ')})`, hint);
}

/** In the order in which they are tried, and what is not there. */
function findNativeFiles(kind: keyof NativeFiles): { files: NativeFile[]; lacks: string[] } {
  const name = nativeFiles()[kind];
  const wanted = process.env['BNN_NATIVE'] ?? '';
  if (!isChoice(wanted)) {
    return { files: [], lacks: [`BNN_NATIVE is '${wanted}', expected built, prebuilt or none`] };
  }
  if (wanted === 'none') return { files: [], lacks: ['BNN_NATIVE is none'] };
  const lacks: string[] = [];
  const prebuilt = wanted === 'built' ? obstacle('BNN_NATIVE is built', '') : findPrebuilt(name);
  const built = wanted === 'prebuilt' ? obstacle('BNN_NATIVE is prebuilt', '') : findBuilt(name, prebuilt.ok);
  const files: NativeFile[] = [];
  for (const result of [built, prebuilt]) {
    if (result.ok) files.push(result.value);
    else lacks.push(result.reason);
  }
  return { files, lacks };
}

function findBuilt(name: string, hasOther: boolean): Found<NativeFile> {
  const paths = buildFolders().map((folder) => join(folder, name));
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined) return obstacle(`not built: ${paths[0]} does not exist`, SETUP_HINT);
  if (hasOther && isStale(path)) return obstacle(`${path} is older than its sources`, SETUP_HINT);
  return found({ path, origin: 'built here', isPrebuilt: false });
}

/** Whether a source is newer; sources from an archive carry its date, which is long past. */
function isStale(path: string): boolean {
  const { mtimeMs } = statSync(path);
  const folder = join(ROOT, 'native');
  if (!existsSync(folder)) return false;
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).some(
    // Editors leave links that lead nowhere.
    (source) =>
      /\.(cc|h)$/.test(source) && (statSync(join(folder, source), { throwIfNoEntry: false })?.mtimeMs ?? 0) > mtimeMs,
  );
}

function findPrebuilt(name: string): Found<NativeFile> {
  const platform = platformName();
  if (platform === undefined) {
    return obstacle(`there is no prebuilt package for ${process.platform} on ${process.arch}`, SETUP_HINT);
  }
  const title = platformPackage(platform);
  let manifest: string;
  try {
    manifest = createRequire(import.meta.url).resolve(`${title}/package.json`);
  } catch {
    return obstacle(`${title} is not installed`, SETUP_HINT);
  }
  let version: string;
  try {
    version = versionOf(manifest);
  } catch {
    return obstacle(`${title} is damaged: ${manifest} is not readable`, SETUP_HINT);
  }
  const own = versionOf(join(ROOT, 'package.json'));
  if (version !== own) return obstacle(`${title} is version ${version}, expected ${own}`, SETUP_HINT);
  return found({ path: join(manifest, '..', name), origin: `prebuilt in ${title} ${version}`, isPrebuilt: true });
}
