/** Every kernel of the contract on every backend: against its composition on tfjs's own CPU backend, on random inputs. */

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import '../backends/webgpu/swiftshader.ts';
import type { Backend } from '../../src/backends/backend.ts';
import { BACKENDS } from '../../src/backends/backends.ts';
import { KERNELS, type KernelName } from '../../src/kernels/contract.ts';
import { hasKernel, run } from '../../src/kernels/run.ts';
import { runOn, type Values, worstOf } from '../backends/compare-kernels.ts';
import { CASES, type Case, SEED } from './cases.ts';

const TOLERANCE = 5e-6;
const NAMES = Object.keys(KERNELS) as KernelName[];
type Composition = (inputs: object, attributes: object | undefined) => tf.Tensor | tf.Tensor[];
type Run = (name: KernelName, inputs: object, attributes?: object) => tf.Tensor | tf.Tensor[];
type AnyCase = Pick<Case<'BnnAdam'>, 'name' | 'tolerance'> & {
  readonly inputs: Readonly<Record<string, Values<Float32Array | Int32Array>>>;
  readonly attributes: readonly object[];
};
const casesOf = (name: KernelName): readonly AnyCase[] => CASES[name] as unknown as readonly AnyCase[];

afterAll(() => tf.setBackend('cpu'));

for (const backend of BACKENDS as readonly Backend[]) {
  const loaded = await backend.load();
  const skipped = loaded.ok ? '' : ` (skipped: ${loaded.reason})`;
  describe.skipIf(!loaded.ok)(`${backend.name}, seed ${SEED}${skipped}`, { timeout: 120_000 }, () => {
    const set = loaded.ok ? loaded.value.kernels : { table: {}, leavesOut: {} };

    it('has in tfjs the kernels of its table, and says of every other why it has none', async () => {
      await tf.setBackend(backend.name);
      expect(NAMES.filter(hasKernel)).toEqual(NAMES.filter((name) => name in set.table));
      const accounted = NAMES.filter((name) => name in set.table !== Boolean(set.leavesOut[name]));
      expect(accounted).toEqual(NAMES);
    });

    // What runs here is what the others are compared with; its numbers are those of onnxruntime (test/training/program/forward.test.ts).
    if (backend.name === 'cpu') return;
    for (const name of NAMES) {
      const reason = set.leavesOut[name];
      describe(`${name}${reason === undefined ? '' : ` by its composition: ${reason}`}`, () => {
        it.each(casesOf(name))('$name', async ({ inputs, attributes: [given], tolerance = TOLERANCE }) => {
          const want = await runOn('cpu', inputs, (tensors) =>
            (KERNELS[name] as unknown as Composition)(tensors, given),
          );
          const padsBefore = !backend.capabilities.explicitPadding;
          const attributes = given !== undefined && 'padsBefore' in given ? { ...given, padsBefore } : given;
          const got = await runOn(backend.name, inputs, (tensors) =>
            (run as unknown as Run)(name, tensors, ...(attributes === undefined ? [] : [attributes])),
          );
          expect(worstOf(got, want)).toBeLessThanOrEqual(tolerance);
        });
      });
    }
  });
}
