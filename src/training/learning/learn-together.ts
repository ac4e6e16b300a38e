/** One step that several processes take together: each learns from its part of a batch, and all get the sum of the gradients. */

import * as tf from '@tensorflow/tfjs-core';
import type { Program, RunSettings } from '../program/program.ts';
import type { Learned } from './learn-batch.ts';
import { readOutcome } from './loss.ts';
import type { JointOutcome, Team } from './team.ts';

export interface JointStep {
  /** Pictures of this process. */
  readonly count: number;
  /** Pictures of the batch. */
  readonly total: number;
  readonly syncBatchNorm: boolean;
  /** Whether kernels have finished when they return, so that a gradient can be sent before the next one is computed. */
  readonly synchronous: boolean;
  /** Whether this process wants to stop after the step. */
  readonly shouldStop: boolean;
}

/**
 * Without `syncBatchNorm`, running statistics become the mean of those of all parts, so that all processes go on with the same.
 *
 * @param learn  the passes over this process's part, with these settings and the loss divided by `total`.
 * @returns      gradients of the whole batch by parameter, the caller's, and its outcome, which is waited for when it is asked for.
 * @throws {BnnError} the failure of another process.
 */
export async function learnTogether(
  team: Team,
  program: Program,
  { count, total, syncBatchNorm, synchronous, shouldStop }: JointStep,
  learn: (settings: Pick<RunSettings, 'sumUp' | 'onGradient'>) => Promise<Learned>,
): Promise<{ readonly gradients: ReadonlyMap<string, tf.Tensor>; readonly outcome: () => JointOutcome }> {
  const { gradients: sums } = team;
  const onGradient = (name: string, gradient: tf.Tensor) => sums.add(name, gradient.dataSync() as Float32Array);
  const { figures, gradients: own } = await learn({
    ...(syncBatchNorm && { sumUp: team.sumUp }),
    ...(synchronous && { onGradient }),
  });
  const outcome = team.beginOutcome(await readOutcome(figures), count, shouldStop);
  if (!synchronous) {
    for (const [name, gradient] of own) sums.add(name, (await gradient.data()) as Float32Array);
  }
  const buffers = syncBatchNorm ? [] : buffersOf(program);
  for (const name of buffers) sums.add(name, (await program.parameter(name).data()) as Float32Array, count / total);
  const all = sums.finish();
  const gradients = new Map<string, tf.Tensor>();
  for (const [name, { shape }] of own) gradients.set(name, tf.tensor(required(all, name), shape));
  tf.dispose([...own.values()]);
  for (const name of buffers) {
    program.setParameter(name, tf.tensor(required(all, name), program.parameter(name).shape));
  }
  return { gradients, outcome };
}

/** Names of the running statistics. */
function buffersOf({ parameters }: Program): string[] {
  return [...parameters.values()].flatMap(({ name, role }) => (role === 'buffer' ? [name] : []));
}

function required(sums: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const sum = sums.get(name);
  if (sum === undefined) throw new Error(`internal: no sum for "${name}"`);
  return sum;
}
