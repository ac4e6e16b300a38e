/** How many threads a process takes where others are on the same machine. */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Communicator, gatherTexts } from './communicator.ts';

/**
 * The share of this process: of each core that it may use, one part of as many as there are processes of its machine that may use it too.
 * So it does not matter whether the launcher binds processes to cores.
 */
export function threadsOf(communicator: Communicator): number {
  const { rank, hosts } = communicator;
  const all = gatherTexts(communicator, coresOfThisProcess().join());
  const neighbours = all.filter((_, other) => hosts[other] === hosts[rank]).map((list) => new Set(list.split(',')));
  return shareOfCores(all[rank]?.split(',') ?? [], neighbours);
}

/**
 * @param own         cores that this process may use.
 * @param neighbours  those of all processes of its machine, this one too.
 */
export function shareOfCores(own: readonly string[], neighbours: readonly ReadonlySet<string>[]): number {
  const share = own.reduce((sum, core) => sum + 1 / neighbours.filter((cores) => cores.has(core)).length, 0);
  // Thirds do not add up to 1.
  return Math.max(1, Math.floor(share + 1e-6));
}

function coresOfThisProcess(): number[] {
  const every = Array.from({ length: availableParallelism() }, (_, core) => core);
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
    const cores = list === undefined ? every : parseCores(list);
    // A container may give less time than it shows cores.
    return cores.slice(0, availableParallelism());
  } catch {
    return every;
  }
}

/** `0-3,8` → 0, 1, 2, 3, 8. */
export function parseCores(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
