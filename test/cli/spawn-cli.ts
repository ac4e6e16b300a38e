/** Runs the real command line in a process of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of stdout as JSON. */
  readonly events: () => Record<string, unknown>[];
}

/**
 * Runs `bnn <args>`, or another program of the package.
 *
 * @param during  called with the process as soon as it runs, and with what it has written on stderr whenever that grows.
 */
export function runCli(
  args: readonly string[],
  options: { program?: string; during?: (child: ChildProcess, stderr: string) => void } = {},
): Promise<CliResult> {
  const { program = 'bnn', during } = options;
  const child = spawn(process.execPath, ['--import', 'tsx', `src/cli/${program}.ts`, ...args], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '' },
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
