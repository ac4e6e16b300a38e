/** Weights that are kept as bits, or as what PyTorch computes them from. */

import { describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/convert/checkpoint/convert-checkpoint.ts';
import { deriveWeights } from '../../src/convert/checkpoint/derived-weights.ts';
import { parseMapping } from '../../src/convert/checkpoint/mapping.ts';
import { float32, type Tensor, tensor, toNumbers } from '../../src/core/tensors/tensor.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { createRun } from './run-model.ts';

const derive = (tensors: Readonly<Record<string, Tensor>>, asked: readonly string[] = []) => {
  const found = deriveWeights(new Map(Object.entries(tensors)), asked);
  return { notes: found.notes, tensors: Object.fromEntries(found.tensors) };
};
const V = float32([2, 2], [3, 4, -6, 8]);

describe('deriveWeights', () => {
  it.each([
    ['weight_norm', 'fc.weight_g', 'fc.weight_v'],
    ['parametrizations', 'fc.parametrizations.weight.original0', 'fc.parametrizations.weight.original1'],
  ])('g · v / ‖v‖ per output: %s', (_, g, v) => {
    const { tensors, notes } = derive({ 'fc.bias': float32([1], [1]), [g]: float32([2, 1], [10, -5]), [v]: V });
    expect(Object.keys(tensors)).toEqual(['fc.bias', 'fc.weight']);
    // 10 · [3, 4] / 5 and −5 · [−6, 8] / 10
    expect(toNumbers(tensors['fc.weight']!)).toEqual([6, 8, 3, -4]);
    expect(notes).toEqual([`fc.weight is computed from ${v} and ${g} (weight norm)`]);
  });

  it('along the second dimension, and over all', () => {
    const columns = derive({ w_g: float32([1, 2], [5, 1]), w_v: float32([2, 2], [3, 0, 4, 2]) });
    expect(toNumbers(columns.tensors['w']!)).toEqual([3, 0, 4, 1]);
    const whole = derive({ w_g: float32([], [26]), w_v: float32([2, 2], [3, 4, 12, 0]) });
    expect(toNumbers(whole.tensors['w']!)).toEqual([6, 8, 24, 0]);
  });

  it('pruning', () => {
    const mask = tensor('bool', [2, 2], Uint8Array.of(1, 0, 0, 1));
    expect(toNumbers(derive({ w_orig: V, w_mask: mask }).tensors['w']!)).toEqual([3, 0, -0, 8]);
  });

  it.each([
    ['spectral_norm', 'w_orig', 'w_u', 'w_v'],
    ['parametrizations', 'parametrizations.w.original', 'parametrizations.w.0._u', 'parametrizations.w.0._v'],
  ])('W / (uᵀ W v): %s', (_, w, u, v) => {
    // [0, 1] W [1, 0]ᵀ = −6
    const { tensors } = derive({ [w]: V, [u]: float32([2], [0, 1]), [v]: float32([2], [1, 0]) });
    expect(Object.keys(tensors)).toEqual(['w']);
    expect(toNumbers(tensors['w']!)).toEqual([-0.5, 4 / -6, 1, 8 / -6].map(Math.fround));
  });

  it.each<[string, Readonly<Record<string, Tensor>>, readonly string[]]>([
    ['one alone', { w_v: V }, []],
    ['shapes that do not fit', { w_v: V, w_g: float32([3], [1, 2, 3]) }, []],
    ['one beside the weight itself', { w: V, w_v: V, w_g: float32([2, 1], [1, 1]) }, []],
    ['one that the mapping names', { w_v: V, w_g: float32([2, 1], [1, 1]) }, ['w_v']],
  ])('leaves %s', (_, tensors, asked) => {
    expect(derive(tensors, asked)).toEqual({ tensors, notes: [] });
  });
});

describe('weights as bits', () => {
  const x = [1, -2, 3];
  const BITS = [1, 0, 0, 0, 1, 1];
  // Signs of the data times ±1 for the bits.
  const expected = [0, 1].map((o) =>
    x.reduce((sum, value, i) => sum + Math.sign(value) * (BITS[3 * o + i] === 1 ? 1 : -1), 0),
  );
  const convert = (weight: Tensor, fields: object) => {
    const layers = [
      { op: 'sign', zero: 'plus' },
      { op: 'linear', weight: 'w', ...fields },
    ];
    const mapping = parseMapping(JSON.stringify({ input: [3], layers }));
    return convertCheckpoint({ tensors: new Map([['w', weight]]) }, { mapping });
  };
  const run = async (converted: ReturnType<typeof convert>) =>
    Array.from(await (await createRun(converted.lowered.model))(Float32Array.from(x), [1, 3]));

  it.each<[string, Tensor]>([
    ['bool', tensor('bool', [2, 3], Uint8Array.from(BITS))],
    ['uint8', tensor('uint8', [2, 3], Uint8Array.from(BITS))],
    ['int64 beyond 2^32', tensor('uint64', [2, 3], BigUint64Array.from(BITS, BigInt))],
  ])('%s with "binary": true: 1 is +1, 0 is -1', async (_, weight) => {
    for (const zero of ['zero', 'plus', 'minus']) {
      const converted = convert(weight, { binary: true, zero, scale: 'channel' });
      expect(converted.report.layers.map(({ kind }) => kind)).toEqual(['binary']);
      expect(converted.report.changes).toContain('w holds bits: 1 is taken for +1, 0 for -1');
      expect(await run(converted)).toEqual(expected);
    }
  });

  it('stay 0 and 1 without it, and integers are no bits', async () => {
    const bool = tensor('bool', [2, 3], Uint8Array.from(BITS));
    const zeroOne = [0, 1].map((o) => x.reduce((sum, value, i) => sum + Math.sign(value) * BITS[3 * o + i]!, 0));
    expect(await run(convert(bool, {}))).toEqual(zeroOne);
    const integers = tensor('uint8', [2, 3], Uint8Array.of(2, 1, 0, 1, 1, 1));
    expect(convert(integers, { binary: true }).report.changes.join()).not.toContain('bits');
  });

  it('in a network of the zoo', () => {
    const { graph } = buildModel('binarynet-mini', { seed: 3 });
    const tensors = new Map<string, Tensor>();
    const latent = new Map<string, number[]>();
    for (const { name, constant } of graph.constants()) {
      const isKernel = constant.shape.length === 4 && name !== 'conv1.weight';
      const signs = toNumbers(constant).map((value) => (value >= 0 ? 1 : -1));
      if (isKernel) latent.set(name, signs);
      const bits = Uint8Array.from(signs, (sign) => (sign > 0 ? 1 : 0));
      tensors.set(name, isKernel ? tensor('bool', constant.shape, bits) : constant);
    }
    expect(latent.size).toBeGreaterThan(0);
    const { source, report } = convertCheckpoint({ tensors }, { network: 'binarynet-mini' });
    for (const [name, signs] of latent) {
      expect(toNumbers(source.graph.values.get(name)!.constant!)).toEqual(signs);
      expect(report.changes).toContain(`${name} holds bits: 1 is taken for +1, 0 for -1`);
    }
  });
});
