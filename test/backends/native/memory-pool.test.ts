import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { NativeBackend } from '../../../src/backends/native/backend.ts';
import { bufferSource, MemoryPool } from '../../../src/backends/native/memory-pool.ts';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { describeNative } from './harness.ts';

function backend(): NativeBackend {
  const current = tf.backend();
  if (!(current instanceof NativeBackend)) throw new Error('the native backend is not current');
  return current;
}

describe('the arena', () => {
  const create = () => new MemoryPool(bufferSource(() => 0));

  it('never gives the same memory to two arrays, aligns all, and becomes one free range again', () => {
    const rng = new Rng(11);
    const pool = create();
    const held: { array: Float32Array; mark: number }[] = [];
    for (let step = 1; step <= 4000; step++) {
      if (held.length > 0 && rng.uniform() < 0.48) {
        const [given] = held.splice(rng.below(held.length), 1);
        if (given === undefined) throw new Error('nothing held');
        expect([given.array[0], given.array.at(-1)]).toEqual([given.mark, given.mark]);
        pool.give(given.array);
      } else {
        const length = rng.uniform() < 0.5 ? 16 + rng.below(3000) : 2 ** 16 + rng.below(2 ** 18);
        const array = pool.take(length);
        expect(array.length).toBe(length);
        expect(array.byteOffset % 64).toBe(0);
        array[0] = array[length - 1] = step;
        held.push({ array, mark: step });
      }
    }
    for (const { array, mark } of held) {
      expect([array[0], array.at(-1)]).toEqual([mark, mark]);
      pool.give(array);
    }
    expect(pool.statistics().bytesInUse).toBe(0);
    pool.trim();
    expect(pool.statistics().bytesPooled).toBe(0);
  });

  it('holds no more buffers than a step of the same sizes needs, however often it runs', () => {
    const pool = create();
    const step = () => {
      const activations = [2 ** 21, 2 ** 20, 2 ** 21, 2 ** 19].map((length) => pool.take(length));
      const gradient = pool.take(2 ** 21);
      for (const array of activations.reverse()) pool.give(array);
      pool.give(gradient);
    };
    step();
    const first = pool.statistics();
    for (let i = 0; i < 20; i++) step();
    expect(pool.statistics()).toEqual(first);
  });

  it('gives what is reserved to nobody, and what is in use is not reserved', () => {
    const rng = new Rng(5);
    const pool = create();
    const overlaps = (a: Float32Array, b: Float32Array) =>
      a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength;
    for (let round = 0; round < 20; round++) {
      const arrays = Array.from({ length: 40 }, () => pool.take(16 + rng.below(2000)));
      const [held, left] = [arrays.filter((_, i) => i % 3 === 0), arrays.filter((_, i) => i % 3 !== 0)];
      for (const array of left) pool.give(array);
      const again = Array.from({ length: 10 }, () => pool.take(16 + rng.below(2000)));
      const before = pool.statistics();
      const reservations = [pool.reserve(arrays), pool.reserve(left)];
      expect(reservations[1]).toEqual([]);
      expect(pool.statistics()).toEqual(before);
      const others = Array.from({ length: 40 }, () => pool.take(16 + rng.below(2000)));
      for (const other of others) expect([...arrays, ...again].some((array) => overlaps(other, array))).toBe(false);
      for (const array of [...held, ...again, ...others]) pool.give(array);
      for (const reservation of reservations) pool.giveBack(reservation);
      pool.trim();
      expect(pool.statistics()).toMatchObject({ bytesInUse: 0, bytesPooled: 0 });
    }
  });

  it('makes room for what is larger than its buffers', () => {
    const pool = create();
    const large = pool.take(40_000_000);
    expect(large.length).toBe(40_000_000);
    pool.give(large);
    pool.trim();
    expect(pool.owns(large)).toBe(false);
  });
});

describeNative('pooled memory', () => {
  beforeAll(async () => {
    await tf.setBackend('native');
  });

  it('uses the memory of a disposed result again, and never two at once', () => {
    const x = tf.fill([4096], 2);
    backend().trim();
    const first = tf.add(x, 1);
    const before = backend().poolStatistics();
    first.dispose();
    expect(backend().poolStatistics().bytesPooled).toBe(before.bytesPooled + 4 * 4096);
    const second = tf.add(x, 2);
    expect(backend().poolStatistics().bytesPooled).toBe(before.bytesPooled);
    const third = tf.add(x, 3);
    expect(second.dataSync()[0]).toBe(4);
    expect(third.dataSync()[0]).toBe(5);
    tf.dispose([x, second, third]);
  });

  it('a result read by a caller does not change when its memory is used again', async () => {
    const x = tf.fill([4096], 2);
    const y = tf.add(x, 1);
    const held = y.dataSync();
    const alsoHeld = await y.data();
    y.dispose();
    const z = tf.mul(x, 100);
    expect(held[0]).toBe(3);
    expect(alsoHeld[0]).toBe(3);
    expect(z.dataSync()[0]).toBe(200);
    tf.dispose([x, z]);
  });

  it('an array given by a caller never becomes memory of another tensor', () => {
    const mine = new Float32Array(4096).fill(7);
    const before = backend().poolStatistics();
    tf.tensor(mine).dispose();
    expect(backend().poolStatistics()).toEqual(before);
    const x = tf.fill([4096], 1);
    const y = tf.add(x, 1);
    expect(mine[0]).toBe(7);
    tf.dispose([x, y]);
  });

  it('shared data lives until its last tensor is disposed', () => {
    const x = tf.fill([64, 64], 2);
    const y = tf.add(x, 1);
    const view = tf.reshape(y, [4096]);
    y.dispose();
    const z = tf.add(x, 50);
    expect(view.dataSync()[17]).toBe(3);
    tf.dispose([x, view, z]);
  });

  it('views that inherited kernels take of a result keep their values: contiguous slices, splits and unstacked rows', () => {
    const x = tf.fill([4, 2048], 2);
    const y = tf.add(x, 1);
    const views = [
      tf.slice(y, [1, 0], [1, 2048]),
      ...tf.split(y, 2, 0),
      ...tf.unstack(y),
      tf.stridedSlice(y, [1, 0], [3, 2048], [1, 1]),
    ];
    y.dispose();
    const z = tf.mul(x, 100);
    for (const view of views) expect(view.dataSync().every((value) => value === 3)).toBe(true);
    tf.dispose([x, z, ...views]);
  });

  it('a training-like loop reaches a steady state: no new memory after the first step', () => {
    const step = () =>
      tf.tidy(() => {
        let h: tf.Tensor = tf.fill([8, 16, 16, 16], 0.5);
        for (let i = 0; i < 4; i++) h = tf.relu(tf.add(tf.mul(h, 0.5), h));
        return tf.sum(h).dataSync()[0];
      });
    const first = step();
    const { peakBytes, bytesPooled } = backend().poolStatistics();
    for (let i = 0; i < 5; i++) expect(step()).toBe(first);
    expect(backend().poolStatistics().peakBytes).toBe(peakBytes);
    expect(backend().poolStatistics().bytesPooled).toBe(bytesPooled);
  });

  it('trim drops what is free', () => {
    backend().trim();
    expect(backend().poolStatistics().bytesPooled).toBe(0);
  });
});
