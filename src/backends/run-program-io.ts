/** Runs other programs and reads their complaints. */

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, or until its time is over.
 *
 * @throws the operating system's error when it cannot be started.
 */
export function runProgram(
  command: string,
  args: readonly string[],
  cwd?: string,
  env: NodeJS.ProcessEnv = process.env,
  seconds = 1800,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    // Not spawn's own timeout: that one goes on, and keeps this process, where the program cannot be started.
    const timer = setTimeout(() => child.kill(), seconds * 1000);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr });
    });
  });
}

/**
 * Runs npm: on Windows the program that comes with Node, since its `npm.cmd` would need a shell.
 *
 * @throws the operating system's error when it cannot be started.
 */
export function runNpm(args: readonly string[]): Promise<Outcome> {
  if (process.platform !== 'win32') return runProgram('npm', args);
  const cli = join(dirname(process.execPath), 'node_modules', 'npm', 'bin', 'npm-cli.js');
  return runProgram(process.execPath, [cli, ...args]);
}

/** The line of a tool's output that says what went wrong. */
export function complaint(text: string, pattern: RegExp): string {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.find((line) => pattern.test(line)) ?? lines.filter(isSaying).at(-1) ?? 'no message';
}

/** Node ends its own errors with its version. */
function isSaying(line: string): boolean {
  return line !== '' && !/^Node\.js v\d/.test(line);
}
