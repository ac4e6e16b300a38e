/** Runs the real command line in a process of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { programArguments, ROOT } from './program.ts';

export { ROOT };

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of stdout as JSON. */
  readonly events: () => Record<string, unknown>[];
}

export interface CliOptions {
  /** `bnn` unless told. */
  readonly program?: string;
  /** Called with all that was written on stderr so far, whenever that grows. */
  readonly during?: (child: ChildProcess, stderr: string) => void;
  /** Makes the system refuse larger files. */
  readonly largestFileBytes?: number;
  /** Variables that differ from those of the tests. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `bnn <args>`, or another program of the package. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return runSource(`src/cli/${options.program ?? 'bnn'}.ts`, args, options);
}

/** Runs a file of the repository, named from its root. */
export function runSource(
  file: string,
  args: readonly string[],
  { during, largestFileBytes, env }: Omit<CliOptions, 'program'> = {},
): Promise<CliResult> {
  const command = [process.execPath, ...programArguments(file), ...args];
  // The shell counts in blocks of 512 bytes. Writing more fails, as on a full disk.
  const limit =
    largestFileBytes === undefined ? [] : ['sh', '-c', `ulimit -f ${largestFileBytes / 512} && exec "$@"`, 'sh'];
  const [executable = '', ...rest] = [...limit, ...command];
  const child = spawn(executable, rest, {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    during?.(child, stderr);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const events = (): Record<string, unknown>[] =>
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>);
      resolve({ code, stdout, stderr, events });
    });
  });
}
