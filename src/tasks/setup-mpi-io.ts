/** Compiles the MPI addon against each MPI that is here, and tries it with two processes. */

import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { complaint, runProgram } from '../backends/run-program-io.ts';
import type { Finding } from '../core/found.ts';
import { buildFolders } from '../core/machine/native-file-io.ts';
import { FAMILY_TITLES, MPI_FAMILIES, type MpiFamily } from '../distributed/launcher.ts';
import { builtMpis, libraryTitle, MPI_HINT, mpiFile } from '../distributed/mpi-addon.ts';
import { BnnError } from '../errors.ts';

/** Both `src/tasks` and `dist/tasks` lie two levels below the package. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TRY_SECONDS = 60;

/**
 * Compiles it for every MPI, or for the one of a given compiler.
 *
 * @param mpicc  MPI's compiler command; unless told, that of the variable MPICC, else those on PATH.
 * @returns      a line for each MPI.
 * @throws {BnnError} E_BACKEND when there is none, or none works.
 */
export async function setupMpi(onStage: (line: string) => void, mpicc?: string): Promise<string> {
  const given = mpicc ?? process.env['MPICC'];
  const compilers = given ? [given] : compilersOnPath();
  if (compilers.length === 0)
    throw new BnnError('E_BACKEND', 'no MPI was found: there is no mpicc on PATH', { hint: MPI_HINT });
  const done: string[] = [];
  const problems: BnnError[] = [];
  for (const compiler of compilers) {
    try {
      done.push(await setUp(compiler, onStage));
    } catch (error) {
      if (!(error instanceof BnnError)) throw error;
      problems.push(error);
      if (compilers.length > 1) onStage(`${compiler}: ${error.message}`);
    }
  }
  const [first] = problems;
  if (first !== undefined && done.length === 0) throw first;
  return done.join('\n');
}

/** Names under which Debian has several MPIs side by side; what is the same twice is left out. */
function compilersOnPath(): string[] {
  const found = new Map<string, string>();
  for (const name of ['mpicc', ...MPI_FAMILIES.map((family) => `mpicc.${family}`)]) {
    const path = findProgram(name);
    if (path === null) continue;
    const real = realpathSync(path);
    // Wrappers of one MPI may be links to one program that looks at its name.
    const key = name === 'mpicc' ? real : (familyOfName(path) ?? real);
    if (![...found.values()].some((other) => realpathSync(other) === real)) found.set(key, path);
  }
  return [...found.values()];
}

function familyOfName(path: string): MpiFamily | null {
  return MPI_FAMILIES.find((family) => basename(path).endsWith(`.${family}`)) ?? null;
}

function findProgram(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  return null;
}

async function setUp(compiler: string, onStage: (line: string) => void): Promise<string> {
  const folder = writableFolder();
  onStage(`compiling the MPI addon with ${compiler} into ${folder}`);
  const work = mkdtempSync(join(folder, '.mpi-'));
  try {
    const made = join(work, 'bnn_mpi.node');
    await compile(compiler, made);
    const family = await familyOf(made, compiler);
    const launcher = launcherOf(compiler);
    onStage(`trying it with two processes of ${launcher}`);
    const library = await tryOut(launcher, made);
    const path = join(folder, mpiFile(family));
    renameSync(made, path);
    return `${library} works, started by ${launcher}: ${path}`;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function writableFolder(): string {
  const [inPackage, inCache] = buildFolders();
  for (const folder of [inPackage, inCache]) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // The next one.
    }
  }
  throw new BnnError('E_IO', 'neither the package nor the cache can be written', { at: inCache });
}

async function compile(compiler: string, output: string): Promise<void> {
  const folder = join(ROOT, 'native', 'mpi');
  const sources = readdirSync(folder)
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(folder, name));
  const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers') as { include_dir: string };
  const args = [
    ...['-x', 'c++', '-std=c++17', '-O3', '-fPIC', '-shared', '-pthread', '-fvisibility=hidden'],
    // MPI's old interface for C++ would want a library more.
    ...['-DOMPI_SKIP_MPICXX', '-DMPICH_SKIP_MPICXX', `-I${join(ROOT, 'native')}`, '-isystem', headers],
    ...(process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []),
    ...[...sources, '-o', output, process.platform === 'darwin' ? '-lc++' : '-lstdc++'],
  ];
  const { status, stderr } = await runProgram(compiler, args).catch((error: Error) => {
    throw new BnnError('E_BACKEND', `${compiler} cannot be started: ${error.message}`, { hint: MPI_HINT });
  });
  if (status === 0) return;
  throw new BnnError('E_BACKEND', `the MPI addon does not compile: ${complaint(stderr, /error/i)}`, {
    at: compiler,
    hint: 'install a C++ compiler (Debian: apt-get install g++) and the headers of the MPI (libopenmpi-dev or libmpich-dev)',
  });
}

const FAMILY_SCRIPT = `
const m = { exports: {} };
const { RTLD_NOW, RTLD_GLOBAL } = require('os').constants.dlopen;
process.dlopen(m, process.argv[1], RTLD_NOW | RTLD_GLOBAL);
process.stdout.write(m.exports.family);`;

async function familyOf(file: string, compiler: string): Promise<MpiFamily> {
  const { status, stdout, stderr } = await runProgram(process.execPath, ['-e', FAMILY_SCRIPT, file]);
  const family = MPI_FAMILIES.find((known) => known === stdout);
  if (status === 0 && family !== undefined) return family;
  if (status === 0) {
    throw new BnnError(
      'E_BACKEND',
      `${compiler} is of an MPI that is neither Open MPI nor MPICH, Intel MPI or MVAPICH`,
      {
        hint: MPI_HINT,
      },
    );
  }
  throw new BnnError('E_BACKEND', `the MPI addon does not load: ${complaint(stderr, /Error/)}`, { at: compiler });
}

/** `mpirun` beside `mpicc`, with the same ending. */
function launcherOf(compiler: string): string {
  const ending = /mpi(?:gcc|cc|icc|icx)?(\.[\w-]+)?$/.exec(basename(compiler))?.[1] ?? '';
  const folder = compiler.includes('/') ? dirname(compiler) : dirname(findProgram(compiler) ?? compiler);
  for (const name of [`mpirun${ending}`, `mpiexec${ending}`]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  throw new BnnError('E_BACKEND', `there is no mpirun beside ${compiler}`, {
    hint: 'install the programs of the MPI too (Debian: openmpi-bin or mpich)',
  });
}

/** Sums the ranks plus 1: 3 of two processes. */
const TRY_SCRIPT = `
const m = { exports: {} };
const { RTLD_NOW, RTLD_GLOBAL } = require('os').constants.dlopen;
process.dlopen(m, process.argv[1], RTLD_NOW | RTLD_GLOBAL);
const { rank, size, library } = m.exports.start(10);
const sum = Float32Array.of(rank + 1);
const isSummed = m.exports.wait(m.exports.beginSum(sum));
if (rank === 0) process.stdout.write(JSON.stringify({ size, library, sum: isSummed ? sum[0] : null }) + '\\n');
m.exports.finalize();`;

/** @returns the MPI's name and version. */
async function tryOut(launcher: string, file: string): Promise<string> {
  const env = {
    ...process.env,
    // A trial of two processes harms nobody, whoever runs it, and on however few cores.
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    OMPI_MCA_rmaps_base_oversubscribe: '1',
  };
  const args = ['-n', '2', process.execPath, '-e', TRY_SCRIPT, file];
  const { status, stdout, stderr } = await runProgram(launcher, args, undefined, env, TRY_SECONDS);
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  const result =
    line === undefined ? null : (JSON.parse(line) as { size: number; library: string; sum: number | null });
  if (status === 0 && result?.size === 2 && result.sum === 3) return libraryTitle(result.library);
  const what =
    result !== null && result.size !== 2
      ? `${launcher} is of another MPI: each of two processes saw ${result.size}`
      : complaint(`${stderr}\n${stdout}`, /error|fail|cannot|not /i);
  throw new BnnError('E_BACKEND', `the MPI addon does not work with two processes: ${what}`, {
    at: launcher,
    hint: `try: ${launcher} -n 2 hostname`,
  });
}

/** A line of `bnn doctor` for each MPI that is set up, or one that says there is none. */
export function inspectMpi(): Finding[] {
  const built = builtMpis();
  const use = 'training on several machines';
  if (built.size === 0) {
    const isThere = compilersOnPath().length > 0;
    return [
      {
        name: 'MPI',
        works: false,
        detail: `${isThere ? 'not set up' : 'not installed'}; for ${use}`,
        hint: isThere ? 'bnn setup mpi' : MPI_HINT,
      },
    ];
  }
  return [...built].map(([family, path]) => ({
    name: FAMILY_TITLES[family],
    works: true,
    detail: `set up in ${path}, for ${use}`,
  }));
}
