/** Chooses the tfjs backend that training runs on. */

import { availableParallelism } from 'node:os';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { type Found, type Obstacle, requireFound } from '../core/found.ts';
import { BnnError } from '../errors.ts';
import type { Backend, LoadedBackend, RunningBackend } from './backend.ts';
import type { BackendFacts } from './backend-facts.ts';
import { BACKENDS } from './backends.ts';

/** What the native backend's thread pool takes. */
const MAX_THREADS = 64;

export type SelectedBackend = BackendFacts & RunningBackend;

export interface BackendOptions {
  /** Threads of the native backend; all processors when not given. */
  readonly threads?: number | undefined;
}

/**
 * Makes a backend the current one of tfjs and waits until it is ready. `auto` is the first of the table with a GPU, else the first of
 * those that may be chosen on a processor.
 *
 * @param table  the backends to choose from.
 * @throws {BnnError} E_BACKEND when the backend does not work here, with what to install; E_USAGE for a bad name or thread count.
 */
export async function selectBackend(
  name: string,
  options: BackendOptions = {},
  table: readonly Backend[] = BACKENDS,
): Promise<SelectedBackend> {
  const threads = options.threads ?? Math.min(availableParallelism(), MAX_THREADS);
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new BnnError('E_USAGE', `threads is ${threads}, expected an integer from 1 to ${MAX_THREADS}`);
  }
  if (name === 'auto') return await selectAutomatically(table, threads);
  const backend = table.find((row) => row.name === name);
  if (backend === undefined) {
    const names = ['auto', ...table.map((row) => row.name)];
    throw new BnnError('E_USAGE', `unknown backend '${name}'`, { hint: `one of ${names.join(', ')}` });
  }
  const loaded = requireFound(await backend.load(threads), `the ${name} backend does not work here`);
  return await start(backend, loaded, threads);
}

async function selectAutomatically(table: readonly Backend[], threads: number): Promise<SelectedBackend> {
  const why: string[] = [];
  for (const backend of table.filter(({ capabilities }) => capabilities.gpu)) {
    const result = await backend.load(threads);
    if (result.ok && result.value.isGpu) {
      return chosen(await start(backend, result.value, threads), `${backend.title} found a GPU`);
    }
    why.push(`${backend.name}: ${gpuLack(result)}`);
  }
  const noGpu = `no GPU found (${why.join('; ')})`;
  const obstacles: Obstacle[] = [];
  for (const backend of table.filter(({ isAutomatic }) => isAutomatic)) {
    const result = await backend.load(threads);
    if (result.ok) {
      const reasons = [noGpu, ...obstacles.map(({ reason }) => reason)];
      return chosen(await start(backend, result.value, threads), ...reasons);
    }
    obstacles.push(result);
  }
  const [first] = obstacles;
  throw new BnnError('E_BACKEND', `no fast backend works here: ${first?.reason}; ${noGpu}`, {
    hint: [...obstacles.map(({ hint }) => hint), '--backend cpu, which is slow'].join('; or '),
  });
}

function gpuLack(result: Found<LoadedBackend>): string {
  if (!result.ok) return result.reason;
  const { device, gpuLack: lack } = result.value;
  return `${device} is no GPU${lack === undefined ? '' : `, ${lack}`}`;
}

/** The description gets the short form of the reasons, without their details. */
function chosen(selected: SelectedBackend, ...reasons: readonly string[]): SelectedBackend {
  const short = reasons.map((reason) => reason.split(' (')[0]).join(', and ');
  return { ...selected, description: `${selected.description} (${short})`, reason: reasons.join(', and ') };
}

async function start(
  { name, capabilities }: Backend,
  { isGpu, start }: LoadedBackend,
  threads: number,
): Promise<SelectedBackend> {
  const isSet = await tf.setBackend(name);
  if (!isSet) throw new BnnError('E_BACKEND', `tfjs could not initialise its backend '${name}'`);
  await tf.ready();
  return { name, capabilities, isGpu, ...start(threads) };
}
