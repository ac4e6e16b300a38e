/** The communicator over MPI. */

import { performance } from 'node:perf_hooks';
import { requireFound } from '../core/found.ts';
import { BnnError, type ErrorCode } from '../errors.ts';
import {
  type Communicator,
  type OperationTimes,
  type PendingSum,
  processName,
  readTimes,
  type Traffic,
} from './communicator.ts';
import { FAMILY_TITLES, launchOf } from './launcher.ts';
import { findMpi, libraryTitle, loadMpi, MPI_HINT, type MpiAddon, type MpiFacts } from './mpi-addon.ts';

/** Seconds of silence after which a process counts as lost; BNN_MPI_PATIENCE overrides it. */
const PATIENCE = 12;

/**
 * Joins the processes that `mpirun` or `srun` started with this one; null where it is alone, and then nothing is loaded.
 *
 * @throws {BnnError} E_BACKEND when the addon is missing or does not fit the MPI.
 */
export function joinProcesses(): Communicator | null {
  const launch = launchOf();
  if (launch === null) return null;
  const started = `this process was started with others by ${launch.family === null ? 'a launcher of MPI jobs' : FAMILY_TITLES[launch.family]}`;
  const { path, family } = requireFound(findMpi(launch.family), started);
  let addon: MpiAddon;
  let facts: MpiFacts;
  try {
    addon = loadMpi(path);
    facts = addon.start(patienceOf(process.env['BNN_MPI_PATIENCE']));
  } catch (cause) {
    throw new BnnError('E_BACKEND', `the MPI addon does not work: ${cause instanceof Error ? cause.message : cause}`, {
      at: path,
      hint: 'run bnn setup mpi again, with the MPI that starts the processes',
      cause,
    });
  }
  const { size } = launch;
  if (facts.size === (size ?? facts.size) && facts.rank === launch.rank) return new MpiCommunicator(addon, facts);
  addon.finalize();
  throw new BnnError(
    'E_BACKEND',
    `the launcher started ${size ?? 'several'} processes, but ${FAMILY_TITLES[family]} sees ${facts.size}`,
    {
      at: path,
      hint: `the launcher is of another MPI; ${launch.family === null ? 'name it by BNN_MPI=openmpi or BNN_MPI=mpich, under Slurm try srun --mpi=pmix or --mpi=pmi2; or ' : ''}${MPI_HINT}`,
    },
  );
}

function patienceOf(text: string | undefined): number {
  const seconds = Number(text);
  return seconds > 0 ? seconds : PATIENCE;
}

/** What a process tells the first one of its failure. */
interface Report {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly at?: string | undefined;
  readonly hint?: string | undefined;
}

class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly localSize: number;
  readonly hosts: readonly string[];
  readonly library: string;
  readonly #addon: MpiAddon;
  /** What MPI writes into must stay. */
  readonly #pending = new Set<object>();
  #waitMs = 0;

  constructor(addon: MpiAddon, facts: MpiFacts) {
    this.#addon = addon;
    ({
      rank: this.rank,
      size: this.size,
      localRank: this.localRank,
      localSize: this.localSize,
      hosts: this.hosts,
    } = facts);
    this.library = libraryTitle(facts.library);
  }

  beginSum(values: Float32Array | Float64Array): PendingSum {
    const id = this.#addon.beginSum(values);
    this.#pending.add(values);
    return {
      wait: () => {
        this.#wait(id);
        this.#pending.delete(values);
      },
    };
  }

  broadcast(bytes: Uint8Array): void {
    this.#pending.add(bytes);
    this.#wait(this.#addon.beginBroadcast(bytes));
    this.#pending.delete(bytes);
  }

  traffic(): Traffic {
    return { ...this.#addon.counters(), waitMs: this.#waitMs };
  }

  takeTimes(): OperationTimes[] {
    return readTimes(this.#addon.takeTimes());
  }

  failure(): Error | null {
    const text = this.#addon.failure();
    if (text === '') return null;
    const [, rank, report] = /^(\d+) (\{.*\})$/s.exec(text) ?? [];
    if (rank === undefined || report === undefined) {
      return new BnnError('E_BACKEND', text, {
        hint: 'it ended, or its machine is out of reach; the last checkpoint is whole: go on with --resume',
      });
    }
    const { code, message, at, hint } = JSON.parse(report) as Report;
    const who = processName(this, Number(rank));
    if (code === null) return new Error(`${who}: ${message}`);
    return new BnnError(code, `${who}: ${message}`, { at, hint });
  }

  report(error: unknown): void {
    const report: Report =
      error instanceof BnnError
        ? { code: error.code, message: error.message, at: error.at, hint: error.hint }
        : { code: null, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    const cut = (text: string): string => text.slice(0, 2000);
    this.#addon.report(JSON.stringify({ ...report, message: cut(report.message) }));
  }

  close(): void {
    this.#addon.finalize();
  }

  abort(exitCode: number): never {
    return this.#addon.abort(exitCode);
  }

  #wait(id: number): void {
    const begin = performance.now();
    const isDone = this.#addon.wait(id);
    this.#waitMs += performance.now() - begin;
    if (!isDone) throw this.failure() ?? new Error('internal: the job failed without a reason');
  }
}
