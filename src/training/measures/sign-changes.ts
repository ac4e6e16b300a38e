/**
 * How the signs of binary weights move: within each step, over an epoch, and since training began. Counted on the device, after every
 * step of the optimizer.
 */

import * as tf from '@tensorflow/tfjs-core';
import { packedBytes, packSigns, unpackSigns } from '../../core/numbers/bits.ts';
import { type Tensor, tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { run } from '../../kernels/run.ts';
import type { ParameterInfo } from '../program/parameters.ts';
import type { Program } from '../program/program.ts';

/** Of the weights of one layer. */
export interface FlipIndicators {
  /** Share of weights whose sign differs from that at the start of the epoch, 0 … 1. */
  readonly flipRatio: number;
  /** Share of weights that change sign in one step, mean over the steps of the epoch. */
  readonly stepFlipRate: number;
  /** Share of the epoch's sign changes that did not last to its end: 1 − (weights that differ) / (changes); 0 without any. */
  readonly oscillation: number;
  /** Share of weights that never changed sign since training began. */
  readonly neverFlipped: number;
  /** Mean product of the sign with that before training: 1 when all are as they were, 0 when unrelated. */
  readonly firstSignCorrelation: number;
}

interface Signs {
  /** ±1. */
  readonly now: tf.Tensor;
  /** ±1, at the start of the epoch. */
  readonly epoch: tf.Tensor;
  /** ±1, before training. */
  readonly first: tf.Tensor;
  /** 1 for a weight that has changed sign since training began, else 0. */
  readonly ever: tf.Tensor;
  /** Scalar: sign changes of the epoch. */
  readonly flips: tf.Tensor;
}

/** What is saved as packed bits. */
const BITS = ['epoch', 'first', 'ever'] as const;

export class SignChanges {
  readonly #program: Program;
  readonly #signs = new Map<string, Signs>();

  constructor(program: Program) {
    this.#program = program;
  }

  *weights(): Generator<ParameterInfo> {
    for (const info of this.#program.parameters.values()) if (info.role === 'binary-weight') yield info;
  }

  /** Takes the signs as they are now for those of the epoch's start; in the first epoch, for those before training as well. */
  beginEpoch(): void {
    for (const { name } of this.weights()) {
      // Each in memory of its own: a step that is run again writes into that of `now`.
      const signsNow = (): tf.Tensor => this.#signsOf(name);
      const begun = { now: signsNow(), epoch: signsNow(), flips: tf.scalar(0) };
      const signs = this.#signs.get(name);
      this.#set(name, { first: signs?.first ?? signsNow(), ever: signs?.ever ?? tf.zerosLike(begun.now), ...begun });
    }
  }

  /** After a step of the optimizer. */
  update(): void {
    for (const [name, signs] of this.#signs) {
      const now = this.#signsOf(name);
      const changed = tf.tidy(() => tf.mul(tf.abs(tf.sub(now, signs.now)), 0.5));
      const flips = tf.tidy(() => tf.add(signs.flips, tf.sum(changed)));
      this.#set(name, { ...signs, now, ever: tf.maximum(signs.ever, changed), flips });
      changed.dispose();
    }
  }

  /** Those that `update` replaces. */
  tensors(): tf.Tensor[] {
    return [...this.#signs.values()].flatMap(({ now, ever, flips }) => [now, ever, flips]);
  }

  /** @param steps  of the epoch so far. */
  async measure(name: string, steps: number): Promise<FlipIndicators> {
    const signs = this.#signs.get(name);
    if (signs === undefined) throw new Error(`internal: no signs of "${name}"`);
    const read = async (t: tf.Tensor): Promise<ArrayLike<number>> => t.data();
    const [now, epoch, first, ever] = [
      await read(signs.now),
      await read(signs.epoch),
      await read(signs.first),
      await read(signs.ever),
    ];
    const changes = (await read(signs.flips))[0] ?? Number.NaN;
    const count = now.length;
    let [lasting, isFirst, moved] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      if (now[i] !== epoch[i]) lasting++;
      if (now[i] === first[i]) isFirst++;
      if (ever[i] === 1) moved++;
    }
    return {
      flipRatio: lasting / count,
      stepFlipRate: changes / (count * steps),
      oscillation: changes === 0 ? 0 : 1 - lasting / changes,
      neverFlipped: 1 - moved / count,
      firstSignCorrelation: (2 * isFirst) / count - 1,
    };
  }

  /** As named tensors. */
  async save(): Promise<Map<string, Tensor>> {
    const saved = new Map<string, Tensor>();
    for (const [name, signs] of this.#signs) {
      for (const kind of BITS) {
        // Bits are signs: those of 0 and 1 would all be 1.
        const values = (await signs[kind].data()).map((value) => (kind === 'ever' ? value - 0.5 : value));
        const packed = packSigns(values, values.length);
        saved.set(savedName(name, kind), tensor('uint8', [packed.length], packed));
      }
      saved.set(savedName(name, 'flips'), tensor('float32', [1], Float32Array.from(await signs.flips.data())));
    }
    return saved;
  }

  /** @throws {BnnError} E_FORMAT when a tensor is missing or has another size. */
  restore(saved: ReadonlyMap<string, Tensor>, at?: string): void {
    for (const { name } of this.weights()) {
      const weights = this.#program.parameter(name);
      const { shape, size } = weights;
      const unpack = (kind: (typeof BITS)[number]): tf.Tensor => {
        const bits = required(saved, savedName(name, kind), 'uint8', packedBytes(size), at);
        const values = unpackSigns(bits as Uint8Array, size);
        return tf.tensor(kind === 'ever' ? values.map((value) => Math.max(0, value)) : values, shape);
      };
      const flips = required(saved, savedName(name, 'flips'), 'float32', 1, at);
      this.#set(name, {
        now: this.#signsOf(name),
        epoch: unpack('epoch'),
        first: unpack('first'),
        ever: unpack('ever'),
        flips: tf.scalar(flips[0] ?? 0),
      });
    }
  }

  dispose(): void {
    for (const signs of this.#signs.values()) for (const t of tensorsOf(signs)) t.dispose();
    this.#signs.clear();
  }

  #signsOf(name: string): tf.Tensor {
    return tf.tidy(() => run('BnnSign', { x: this.#program.binarized(name) }));
  }

  /** Keeps `next`, and disposes what it replaces. */
  #set(name: string, next: Signs): void {
    const [before, after] = [tensorsOf(this.#signs.get(name)), tensorsOf(next)];
    for (const t of after) tf.keep(t);
    for (const t of before) if (!after.includes(t)) t.dispose();
    this.#signs.set(name, next);
  }
}

function tensorsOf(signs: Signs | undefined): tf.Tensor[] {
  return signs === undefined ? [] : Object.values(signs);
}

function savedName(weight: string, kind: (typeof BITS)[number] | 'flips'): string {
  return `${weight}.${kind}_signs`;
}

function required(
  saved: ReadonlyMap<string, Tensor>,
  name: string,
  dtype: Tensor['dtype'],
  length: number,
  at: string | undefined,
): ArrayLike<number> {
  const found = saved.get(name);
  if (found?.dtype === dtype && found.data.length === length) return found.data as ArrayLike<number>;
  throw new BnnError('E_FORMAT', `the training state lacks "${name}": ${length} of ${dtype}`, { at });
}
