/** What processes that work together do: add up, tell, fail and end together. `mpi-communicator.ts` does it over MPI. */

export interface PendingSum {
  /**
   * Waits until the sums are there.
   *
   * @throws {BnnError} the failure of another process.
   */
  wait(): void;
}

export interface Traffic {
  /** Sent by this process. */
  readonly bytesSent: number;
  readonly messages: number;
  /** That this process waited. */
  readonly waitMs: number;
}

/** When an operation went which way, in milliseconds by the clock of the machine. */
export interface OperationTimes {
  readonly begun: number;
  /** Waited for from then on. */
  readonly waited: number;
  /** The result was there. */
  readonly done: number;
  /** Waiting was over. */
  readonly ended: number;
}

/** All processes call the same of its methods in the same order. */
export interface Communicator {
  /** 0 … size − 1. Process 0 speaks for all. */
  readonly rank: number;
  readonly size: number;
  /** Of those on this machine. */
  readonly localRank: number;
  readonly localSize: number;
  /** The machine of each process. */
  readonly hosts: readonly string[];
  /** One line for people: "Open MPI v4.1.4". */
  readonly library: string;
  /**
   * Begins to add up arrays of equal length, in place; until `wait` nobody may touch them. The order of additions depends on `size`
   * alone, so all processes get the same bits, in every run.
   */
  beginSum(values: Float32Array | Float64Array): PendingSum;
  /** Gives all processes the bytes of process 0, in place. */
  broadcast(bytes: Uint8Array): void;
  traffic(): Traffic;
  /** Of what was waited for since the last call, in that order. */
  takeTimes(): readonly OperationTimes[];
  /** Why the job has failed, in another process or on the way there; null while it has not. */
  failure(): Error | null;
  /** Tells process 0 why this one fails. */
  report(error: unknown): void;
  /** Ends the work together, when all processes have come here. */
  close(): void;
  /** Ends all processes, this one too. */
  abort(exitCode: number): never;
}

/** Adds up numbers of all processes, in place. */
export function sumUp(communicator: Communicator, values: Float32Array | Float64Array): void {
  communicator.beginSum(values).wait();
}

/** Waits for all processes. */
export function meet(communicator: Communicator): void {
  sumUp(communicator, new Float64Array(1));
}

/** The numbers of each process. */
export function gather(communicator: Communicator, own: readonly number[]): number[][] {
  const { rank, size } = communicator;
  const all = new Float64Array(size * own.length);
  all.set(own, rank * own.length);
  sumUp(communicator, all);
  return Array.from({ length: size }, (_, i) => [...all.subarray(i * own.length, (i + 1) * own.length)]);
}

/** The times of each process, which all have made the same operations. */
export function gatherTimes(communicator: Communicator, own: readonly OperationTimes[]): OperationTimes[][] {
  const numbers = own.flatMap(({ begun, waited, done, ended }) => [begun, waited, done, ended]);
  return gather(communicator, numbers).map(readTimes);
}

/** @param numbers  four of each operation: begun, waited for from, done, waited until. */
export function readTimes(numbers: ArrayLike<number>): OperationTimes[] {
  const at = (i: number): number => numbers[i] ?? Number.NaN;
  return Array.from({ length: numbers.length / 4 }, (_, k) => ({
    begun: at(4 * k),
    waited: at(4 * k + 1),
    done: at(4 * k + 2),
    ended: at(4 * k + 3),
  }));
}

/** The text of each process. */
export function gatherTexts(communicator: Communicator, own: string): string[] {
  const bytes = new TextEncoder().encode(own);
  const longest = Math.max(...gather(communicator, [bytes.length]).flat());
  const padded = [...bytes, ...Array.from({ length: longest - bytes.length }, () => 0)];
  const texts = gather(communicator, padded);
  return texts.map((codes) => new TextDecoder().decode(Uint8Array.from(codes.filter((code) => code !== 0))));
}

/** At once, since lengths of messages are limited. */
const PIECE_BYTES = 2 ** 26;

/** The bytes of process 0; those of others are not looked at. */
export function shareBytes(communicator: Communicator, own: Uint8Array | null): Uint8Array {
  const length = new Float64Array([communicator.rank === 0 ? (own?.length ?? 0) : 0]);
  sumUp(communicator, length);
  const bytes = communicator.rank === 0 && own !== null ? Uint8Array.from(own) : new Uint8Array(length[0] ?? 0);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) communicator.broadcast(bytes.subarray(at, at + PIECE_BYTES));
  return bytes;
}

/** What process 0 finds out, for all: a value that JSON can hold. */
export async function fromFirst<T>(communicator: Communicator, work: () => T | Promise<T>): Promise<T> {
  const own = communicator.rank === 0 ? new TextEncoder().encode(JSON.stringify({ value: await work() })) : null;
  const text = new TextDecoder().decode(shareBytes(communicator, own));
  return (JSON.parse(text) as { value: T }).value;
}

/** A process as messages name it. */
export function processName({ hosts }: Pick<Communicator, 'hosts'>, rank: number): string {
  return `process ${rank} on ${hosts[rank] ?? 'an unknown machine'}`;
}
