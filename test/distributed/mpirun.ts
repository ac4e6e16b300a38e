/** Starts commands with `mpirun`, with each MPI that is here. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MPI_FAMILIES, type MpiFamily } from '../../src/distributed/launcher.ts';
import { builtMpis } from '../../src/distributed/mpi-addon.ts';
import { setupMpi } from '../../src/tasks/setup-mpi-io.ts';
import { type CliResult, ROOT } from '../cli/spawn-cli.ts';

export interface Mpi {
  readonly family: MpiFamily;
  /** Empty where it works, else why it is skipped. */
  readonly skipped: string;
}

/** Each MPI, set up anew where its sources have changed. */
export async function prepareMpis(): Promise<Mpi[]> {
  const found: Mpi[] = [];
  for (const family of MPI_FAMILIES) found.push({ family, skipped: await problemOf(family) });
  return found;
}

async function problemOf(family: MpiFamily): Promise<string> {
  const compiler = `mpicc.${family}`;
  if (!isProgram(compiler) || !isProgram(`mpirun.${family}`)) return `there is no ${compiler} with its mpirun`;
  const path = builtMpis().get(family);
  const sources = readdirSync(join(ROOT, 'native/mpi')).map((name) => statSync(join(ROOT, 'native/mpi', name)).mtimeMs);
  if (path !== undefined && statSync(path).mtimeMs > Math.max(...sources)) return '';
  await setupMpi(() => {}, compiler);
  return '';
}

function isProgram(name: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

interface MpirunOptions {
  readonly program?: string;
  /** Called with all that was written on stderr so far, whenever that grows. */
  readonly during?: (child: ChildProcess, stderr: string) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** Variables of the last process alone. */
  readonly lastEnv?: Readonly<Record<string, string>>;
}

/** Runs `mpirun -n COUNT bnn-train ARGS`, or another program. */
export function mpirun(
  family: MpiFamily,
  count: number,
  args: readonly string[],
  { program = 'bnn-train', during, env, lastEnv }: MpirunOptions = {},
): Promise<CliResult> {
  const options = family === 'openmpi' ? ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none'] : [];
  // Compiled: several processes at a time would take long to compile themselves.
  const node = [process.execPath, join(ROOT, `dist/cli/${program}.js`)];
  const last = Object.entries(lastEnv ?? {}).map(([name, value]) => `${name}=${value}`);
  const jobs =
    last.length === 0
      ? ['-n', String(count), ...node, ...args]
      : [...['-n', String(count - 1), ...node, ...args, ':'], ...['-n', '1', 'env', ...last, ...node, ...args]];
  const child = spawn(`mpirun.${family}`, [...options, ...jobs], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    during?.(child, stderr);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, events: () => [] }));
  });
}

/** Numbers of the Node processes whose command line holds a text. */
export function workersOf(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const file = `/proc/${pid}/cmdline`;
      if (!existsSync(file)) return false;
      try {
        const command = readFileSync(file, 'utf8').split('\0');
        return command[0] === process.execPath && command.includes(text);
      } catch {
        return false;
      }
    });
}
