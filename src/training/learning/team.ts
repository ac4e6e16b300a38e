/** What a training does together with the other processes: the parts of each batch, sums of gradients, and agreement. */

import { createHash } from 'node:crypto';
import type * as tf from '@tensorflow/tfjs-core';
import type { Part } from '../../core/numbers/part.ts';
import { type Communicator, gather, gatherTexts, processName, sumUp } from '../../distributed/communicator.ts';
import { BnnError } from '../../errors.ts';
import type { Evaluation } from '../measures/evaluate.ts';
import { GradientSums } from './gradient-sums.ts';
import type { Outcome } from './loss.ts';

/** Bytes of a digest that a float64 holds exactly. */
const DIGEST_BYTES = 6;

/** An outcome of all processes. */
export interface JointOutcome extends Outcome {
  /** Pictures of the whole batch. */
  readonly images: number;
  /** Whether somebody wants to stop. */
  readonly shouldStop: boolean;
}

export class Team {
  readonly communicator: Communicator;
  readonly gradients: GradientSums;

  constructor(communicator: Communicator) {
    this.communicator = communicator;
    this.gradients = new GradientSums(communicator);
  }

  get size(): number {
    return this.communicator.size;
  }

  get isFirst(): boolean {
    return this.communicator.rank === 0;
  }

  /** Of each batch. */
  get part(): Part {
    return { index: this.communicator.rank, of: this.size };
  }

  /** Largest part of so many pictures. */
  shareOf(count: number): number {
    return Math.ceil(count / this.size);
  }

  readonly sumUp = (values: Float64Array): void => sumUp(this.communicator, values);

  /** How many pictures each process has. */
  counts(own: number): number[] {
    return gather(this.communicator, [own]).map(([count = 0]) => count);
  }

  /** Begins to add up the outcomes of parts of a batch. */
  beginOutcome(own: Outcome, images: number, shouldStop: boolean): () => JointOutcome {
    const sums = Float64Array.of(own.loss, own.correct, images, shouldStop ? 1 : 0);
    const pending = this.communicator.beginSum(sums);
    return () => {
      pending.wait();
      const [loss = Number.NaN, correct = 0, all = 0, stops = 0] = sums;
      return { loss, correct, images: all, shouldStop: stops > 0 };
    };
  }

  /** Whether somebody wants to stop. */
  agree(own: boolean): boolean {
    const votes = Float64Array.of(own ? 1 : 0);
    this.sumUp(votes);
    return (votes[0] ?? 0) > 0;
  }

  /** An evaluation of all parts, with positions in the whole split. */
  joinEvaluations(own: Evaluation, pictures: number): Evaluation {
    const { images, loss, top1, predictions, confidences } = own;
    const sums = new Float64Array(3 + 2 * pictures);
    if (images > 0) sums.set([images, loss * images, top1 * images]);
    for (const [i, decision] of predictions.entries()) {
      sums[3 + i] = decision + 1;
      sums[3 + pictures + i] = confidences[i] ?? 0;
    }
    this.sumUp(sums);
    const [all = 0, lossSum = 0, correct = 0] = sums;
    return {
      images: all,
      loss: lossSum / all,
      top1: Math.round(correct) / all,
      predictions: Array.from(sums.subarray(3, 3 + pictures), (code) => code - 1),
      confidences: Array.from(sums.subarray(3 + pictures)),
    };
  }

  /**
   * Makes sure that something is the same in all processes.
   *
   * @throws {BnnError} E_BACKEND that names the processes that have another one than the first.
   */
  assertSame(what: string, own: string, hint: string): void {
    const all = gatherTexts(this.communicator, own);
    const others = all.flatMap((text, rank) => (text === all[0] ? [] : [rank]));
    if (others.length === 0) return;
    throw new BnnError('E_BACKEND', `${what} of ${this.#named(others)} is not that of process 0`, { hint });
  }

  /**
   * Makes sure that all processes have the same numbers.
   *
   * @throws {BnnError} E_BACKEND that names the processes and tensors.
   */
  async assertSameTensors(tensors: readonly (readonly [name: string, tensor: tf.Tensor])[]): Promise<void> {
    const own: number[] = [];
    for (const [, t] of tensors) {
      const { buffer, byteOffset, byteLength } = await t.data();
      const digest = createHash('sha256')
        .update(new Uint8Array(buffer, byteOffset, byteLength))
        .digest();
      own.push(digest.readUIntBE(0, DIGEST_BYTES));
    }
    const all = gather(this.communicator, own);
    const differing = all.flatMap((digests, rank) => (digests.join() === all[0]?.join() ? [] : [rank]));
    if (differing.length === 0) return;
    const names = tensors.flatMap(([name], i) => (all.some((digests) => digests[i] !== all[0]?.[i]) ? [name] : []));
    const some = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
    throw new BnnError('E_BACKEND', `${this.#named(differing)} has other numbers than process 0: ${some}`, {
      hint: 'its machine computes differently, or its memory fails; leave it out, and go on from the last checkpoint with --resume',
    });
  }

  #named(ranks: readonly number[]): string {
    return ranks.map((rank) => processName(this.communicator, rank)).join(', ');
  }
}
