/** A command whose processes work together (`mpirun`): one of them speaks, and they end together. */

import { type Communicator, processName } from '../distributed/communicator.ts';
import { isFirstOfMachine, isFollower } from '../distributed/launcher.ts';
import { joinProcesses } from '../distributed/mpi-communicator.ts';
import { EXIT_FAILED, printError } from './print-error.ts';
import { Terminal } from './terminal.ts';

/** How often is looked whether another process has failed. */
const LOOK_MS = 500;
/** How long a process that failed waits for the first one to say so and end all, and how often it looks whether its launcher has gone. */
const REPORT_MS = 3000;
const SLICE_MS = 50;
const PRINT_MS = 300;

/**
 * Runs `work` with the other processes that a launcher started, or alone.
 *
 * An error in one of them is printed by the first, as its own would be, and ends all; so does the death of one.
 *
 * @throws {BnnError} E_BACKEND when they cannot be joined; errors of `work`, where this process is alone.
 */
export async function withProcesses<T>(
  program: string,
  terminal: Terminal,
  work: (communicator: Communicator | undefined) => Promise<T>,
): Promise<T> {
  const communicator = join(program);
  if (communicator === null) return work(undefined);
  const end = (error: unknown): never => endAll(communicator, error, program, terminal);
  const look = setInterval(() => {
    const failure = communicator.failure();
    if (failure !== null) end(failure);
  }, LOOK_MS).unref();
  try {
    const result = await work(communicator);
    communicator.close();
    return result;
  } catch (error) {
    return end(error);
  } finally {
    clearInterval(look);
  }
}

/** On another machine, the first process would not hear why this one cannot join it. */
function join(program: string): Communicator | null {
  try {
    return joinProcesses();
  } catch (error) {
    if (isFollower() && isFirstOfMachine()) printError(error, program, new Terminal());
    throw error;
  }
}

function endAll(communicator: Communicator, error: unknown, program: string, terminal: Terminal): never {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  if (communicator.rank === 0) {
    const code = printError(error, program, terminal);
    // The launcher ends as soon as it hears of the end, and what it has not read by then is lost.
    Atomics.wait(nothing, 0, 0, PRINT_MS);
    communicator.abort(code);
  }
  communicator.report(error);
  const launcher = process.ppid;
  // The first one ends this process meanwhile, unless it cannot.
  for (let waited = 0; waited < REPORT_MS; waited += SLICE_MS) {
    Atomics.wait(nothing, 0, 0, SLICE_MS);
    if (process.ppid !== launcher) communicator.abort(EXIT_FAILED);
  }
  const name = `${program} (${processName(communicator, communicator.rank)})`;
  communicator.abort(printError(error, name, new Terminal()));
}
