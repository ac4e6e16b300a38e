/** Finds and loads the MPI addon (`native/mpi`), which `bnn setup mpi` compiles against each MPI that is there. */

import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type Found, found, obstacle } from '../core/found.ts';
import { buildFolders } from '../core/machine/native-file-io.ts';
import { FAMILY_TITLES, MPI_FAMILIES, type MpiFamily } from './launcher.ts';

export interface MpiFacts {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly localSize: number;
  readonly library: string;
  readonly hosts: readonly string[];
}

/** The functions of the addon: one row per function of native/mpi/addon.cc. */
export interface MpiAddon {
  readonly family: string;
  /** @param patience  seconds without a sign of life of a neighbour after which it counts as lost. */
  start(patience: number): MpiFacts;
  beginSum(values: Float32Array | Float64Array): number;
  beginBroadcast(bytes: Uint8Array): number;
  /** False when the job has failed. */
  wait(id: number): boolean;
  isDone(id: number): boolean;
  /** Empty while it has not failed; begins with the rank of the process that reports it, or is of the addon itself. */
  failure(): string;
  counters(): { readonly bytesSent: number; readonly messages: number };
  /** Four numbers of each operation that was waited for since the last call: begun, waited for from, done, waited until; milliseconds. */
  takeTimes(): Float64Array;
  report(text: string): void;
  finalize(): void;
  abort(code: number): never;
}

/** `MPICH Version:\t4.0.2` → `MPICH 4.0.2`. */
export function libraryTitle(text: string): string {
  return text.replace(/\s*Version:\s*/, ' ').trim();
}

export const MPI_HINT =
  'install an MPI (Debian: apt-get install libopenmpi-dev openmpi-bin, or libmpich-dev mpich), then run bnn setup mpi';

export function mpiFile(family: MpiFamily): string {
  return `bnn_mpi.${family}.node`;
}

/** The addons that are built here, in the package or in the user's cache. */
export function builtMpis(): ReadonlyMap<MpiFamily, string> {
  const files = new Map<MpiFamily, string>();
  for (const family of MPI_FAMILIES) {
    const path = buildFolders()
      .map((folder) => join(folder, mpiFile(family)))
      .find((file) => existsSync(file));
    if (path !== undefined) files.set(family, path);
  }
  return files;
}

/**
 * The addon for the MPI that started this process. Where its environment does not say which that is, the variable BNN_MPI does
 * (`openmpi` or `mpich`), else the one that is built.
 */
export function findMpi(family: MpiFamily | null): Found<{ readonly family: MpiFamily; readonly path: string }> {
  const built = builtMpis();
  const named = process.env['BNN_MPI'];
  if (named !== undefined && !MPI_FAMILIES.some((known) => known === named)) {
    return obstacle(`BNN_MPI is '${named}', expected ${MPI_FAMILIES.join(' or ')}`, 'unset BNN_MPI');
  }
  const wanted = family ?? (named as MpiFamily | undefined) ?? [...built.keys()][0];
  if (wanted === undefined) return obstacle('there is no MPI addon here', MPI_HINT);
  const path = built.get(wanted);
  if (path !== undefined) return found({ family: wanted, path });
  const others = [...built.keys()].map((other) => FAMILY_TITLES[other]).join(' and ');
  const but = others === '' ? '' : `, only for ${others}`;
  return obstacle(`there is no MPI addon for ${FAMILY_TITLES[wanted]}${but}`, MPI_HINT);
}

/**
 * Under MPICH, UCX watches every mapping of memory and takes signals over, which V8 does not bear: a process in dozens ended with a
 * segmentation fault. What somebody sets stays.
 */
const UCX_SETTINGS = {
  UCX_MEM_EVENTS: 'n',
  UCX_MEM_MALLOC_HOOKS: 'n',
  UCX_MEM_MALLOC_RELOC: 'n',
  UCX_MEM_MMAP_HOOK_MODE: 'none',
  UCX_ERROR_SIGNALS: '',
};

/** @throws the loader's error. */
export function loadMpi(path: string): MpiAddon {
  // Read when its library is loaded.
  for (const [name, value] of Object.entries(UCX_SETTINGS)) process.env[name] ??= value;
  const module: { exports: unknown } = { exports: {} };
  // MPI loads parts of its own, which look for it among what all see.
  process.dlopen(module, path, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL);
  return module.exports as MpiAddon;
}
