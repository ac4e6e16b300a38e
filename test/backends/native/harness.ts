/** Runs one kernel on a chosen tfjs backend and returns plain arrays. */

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe } from 'vitest';
import { registerNativeBackend } from '../../../src/backends/native/register.ts';
import { Rng } from '../../../src/core/numbers/rng.ts';

export const native = registerNativeBackend();

/** A describe block that is skipped, with the reason in its name, where the addon is not built. */
export function describeNative(name: string, body: () => void): void {
  describe.skipIf(!native.ok)(native.ok ? name : `${name} (skipped: ${native.reason})`, body);
}

export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Uniform numbers in [−1, 1). */
export function random(shape: readonly number[], seed = 1): Values {
  const rng = new Rng(seed, ...shape);
  const count = shape.reduce((product, size) => product * size, 1);
  return { shape, values: Float32Array.from({ length: count }, () => 2 * rng.uniform() - 1) };
}

/** Random numbers in {−1, +1}. */
export function randomSigns(shape: readonly number[], seed = 1): Values {
  const { values } = random(shape, seed);
  return { shape, values: values.map((x) => (x >= 0 ? 1 : -1)) };
}

export function setThreads(count: number): void {
  if (native.ok) native.value.setThreads(count);
}

/** The outputs of a kernel on a backend. */
export async function run(
  backend: 'cpu' | 'native',
  kernel: string,
  inputs: Readonly<Record<string, Values>>,
  attrs: object = {},
): Promise<Values[]> {
  await tf.setBackend(backend);
  const tensors: Record<string, tf.Tensor> = {};
  for (const [name, { shape, values }] of Object.entries(inputs)) tensors[name] = tf.tensor(values.slice(), [...shape]);
  // Concat alone takes its inputs as a list.
  const given = kernel === 'Concat' ? (Object.values(tensors) as never) : tensors;
  const outputs = tf.engine().runKernel(kernel, given, attrs as never);
  const list = (Array.isArray(outputs) ? outputs : [outputs]) as tf.Tensor[];
  const result = list.map((t) => ({ shape: t.shape, values: t.dataSync() as Float32Array }));
  tf.dispose([list, tensors]);
  return result;
}

/** What an error is measured against: the largest value of the tensor (sums, which may cancel to almost 0), or each value. */
type Scale = 'tensor' | 'element';

/** max |got − want| / max(1, |want|), |want| as `scale` says; Infinity where only one is NaN or the shapes differ. */
export function worstError(got: Values | undefined, want: Values | undefined, scale: Scale = 'tensor'): number {
  if (got === undefined || want === undefined || got.shape.join() !== want.shape.join()) return Infinity;
  const magnitude = (w: number) => (Number.isFinite(w) ? Math.max(1, Math.abs(w)) : 1);
  const largest = want.values.reduce((most, w) => Math.max(most, magnitude(w)), 1);
  let worst = 0;
  for (const [i, w] of want.values.entries()) {
    const g = got.values[i] ?? Number.NaN;
    if (Object.is(g, w) || g === w) continue;
    const error = Math.abs(g - w) / (scale === 'tensor' ? largest : magnitude(w));
    worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
  }
  return worst;
}

/** Runs a kernel on both backends and returns the worst error of all outputs. */
export async function compare(
  kernel: string,
  inputs: Readonly<Record<string, Values>>,
  attrs: object = {},
  scale: Scale = 'tensor',
): Promise<number> {
  const want = await run('cpu', kernel, inputs, attrs);
  const got = await run('native', kernel, inputs, attrs);
  if (got.length !== want.length) return Infinity;
  return Math.max(...want.map((output, i) => worstError(got[i], output, scale)));
}
