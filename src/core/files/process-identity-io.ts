/** Who a process is, so that another one can tell whether it still runs: for locks, and for files that a killed process left. */

import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemErrorCode } from '../../errors.ts';

export interface ProcessIdentity {
  /** Where its number means something: this boot of this machine, in this container. */
  readonly scope: string;
  readonly pid: number;
  /** When it started, since numbers are given again; '' where the system does not tell. */
  readonly start: string;
}

let own: ProcessIdentity | undefined;

export function thisProcess(): ProcessIdentity {
  own ??= { scope: scopeOf(), pid: process.pid, start: statusOf(process.pid).start };
  return own;
}

/** Whether the process runs; null when that cannot be seen from here, because it belongs to another machine or container. */
export function isAlive({ scope, pid, start }: ProcessIdentity): boolean | null {
  if (scope !== thisProcess().scope) return null;
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is someone else's, but it is there.
    if (systemErrorCode(error) !== 'EPERM') return false;
  }
  const now = statusOf(pid);
  if (now.isEnded) return false;
  return start === '' || now.start === '' || start === now.start;
}

function scopeOf(): string {
  const boot = readText('/proc/sys/kernel/random/boot_id');
  if (boot === '') return digest(`host ${hostname()}`);
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // A system that hides it has one.
  }
  return digest(`${boot} ${namespace}`);
}

function statusOf(pid: number): { readonly start: string; readonly isEnded: boolean } {
  // proc(5): pid (name) state …; the 22nd field is the start in clock ticks. The name may hold anything.
  const fields = readText(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return { start: fields[19] ?? '', isEnded: fields[0] === 'Z' || fields[0] === 'X' };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
