/** A binary layer behind any operator that moves, selects or joins signs: one verdict in all three tables, and the exact numbers. */

import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { summarizeModel } from '../../src/tasks/model-summary.ts';
import { Source, withZeros } from './build.ts';
import { createRun } from './run-model.ts';

const sign = (s: Source, x: Value): Value => s.op('bnn.Sign', [x]);
const split = (s: Source, x: Value, which: number): Value => {
  const outputs = ['left', 'right'];
  const node = s.builder.model.graph.addNode('Split', [x], { attributes: { axis: int(1) }, outputs });
  return node.outputs[which]!;
};
const nchw = (s: Source, x: Value, sizes: readonly number[]): Value => s.op('Reshape', [x, s.ints(sizes)]);

/** What stands between the signs of [2, 4, 6, 6] and the convolution, and the channels that are left. */
const MOVES: Readonly<Record<string, readonly [(s: Source, signs: Value) => Value, channels?: number]>> = {
  nothing: [(_, x) => x],
  Identity: [(s, x) => s.op('Identity', [x])],
  Transpose: [(s, x) => s.op('Transpose', [x], { perm: ints([0, 1, 3, 2]) })],
  Reshape: [(s, x) => nchw(s, x, [2, 4, 4, 9])],
  'Flatten, Reshape': [(s, x) => nchw(s, s.op('Flatten', [x]), [2, 4, 6, 6])],
  'Unsqueeze, Squeeze': [(s, x) => s.op('Squeeze', [s.op('Unsqueeze', [x, s.ints([2])]), s.ints([2])])],
  MaxPool: [(s, x) => s.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) })],
  Slice: [(s, x) => s.op('Slice', [x, s.ints([1]), s.ints([5]), s.ints([3])])],
  'Slice with steps back': [(s, x) => s.op('Slice', [x, s.ints([-1]), s.ints([-7]), s.ints([2]), s.ints([-1])])],
  Gather: [(s, x) => s.op('Gather', [x, s.ints([3, 0, 0, 1])], { axis: int(1) })],
  'the second part of a Split': [(s, x) => split(s, x, 1), 2],
  'Concat with its mirror': [
    (s, x) =>
      s.op('Concat', [x, s.op('Slice', [x, s.ints([-1]), s.ints([-7]), s.ints([2]), s.ints([-1])])], { axis: int(1) }),
    8,
  ],
  'Concat of two signs': [(s, x) => s.op('Concat', [x, sign(s, s.op('Neg', [s.x]))], { axis: int(1) }), 8],
  'Pad with +1': [(s, x) => s.op('Pad', [x, s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(1)])],
  'Pad with −1': [(s, x) => s.op('Pad', [x, s.ints([0, 0, 0, 2, 0, 0, 1, 0]), s.c(-1)])],
  'Expand, Reshape': [
    (s, x) => nchw(s, s.op('Expand', [s.op('Unsqueeze', [x, s.ints([1])]), s.ints([2, 3, 4, 6, 6])]), [2, 12, 6, 6]),
    12,
  ],
  Tile: [(s, x) => s.op('Tile', [x, s.ints([1, 1, 1, 2])])],
  SpaceToDepth: [(s, x) => s.op('SpaceToDepth', [x], { blocksize: int(2) }), 16],
  'MaxPool, Slice, Transpose': [
    (s, x) => {
      const pooled = s.op('MaxPool', [x], { kernel_shape: ints([2, 2]) });
      return s.op('Transpose', [s.op('Slice', [pooled, s.ints([0]), s.ints([4]), s.ints([2])])], {
        perm: ints([0, 1, 3, 2]),
      });
    },
  ],
  'Mul of signs': [(s, x) => s.op('Mul', [x, sign(s, s.op('Sub', [s.x, s.c(0.3)]))])],
  'Max of signs': [(s, x) => s.op('Max', [x, sign(s, s.op('Sub', [s.x, s.c(-0.3)]))])],
};

function latent(move: (s: Source, signs: Value) => Value, channels: number, dense: boolean): Model {
  const s = new Source([2, 4, 6, 6]);
  s.builder.model.opsets.set('bnn', 1);
  const moved = move(s, sign(s, s.x));
  const y = dense
    ? s.op('MatMul', [nchw(s, moved, [6, -1]), sign(s, s.c(s.normals([(2 * channels * 36) / 6, 5])))], {}, 'layer')
    : s.op('Conv', [moved, sign(s, s.c(s.normals([5, channels, 3, 3])))], { pads: ints([1, 1, 1, 1]) }, 'layer');
  const model = s.finish(y);
  addBnnFunctions(model);
  return model;
}

const CASES = Object.entries(MOVES).flatMap(([name, [move, channels = 4]]) => [
  { name, move, channels, dense: false },
  ...(/^(nothing|Identity|Transpose|Reshape|Gather|Concat of two signs|Mul of signs)$/.test(name)
    ? [{ name: `${name}, dense`, move, channels, dense: true }]
    : []),
]);

describe('Conv or MatMul of moved signs', () => {
  it.each(CASES)('$name', async ({ move, channels, dense }) => {
    const model = latent(move, channels, dense);
    const converted = convertOnnx(model);
    const lowered = lowerToPacked(model, { verify: true });
    expect({
      inspect: summarizeModel(latent(move, channels, dense)).layers.find(({ name }) => name === 'layer')?.kind,
      export: lowered.report.layers.map(({ outcome }) => outcome),
      convert: converted.report.layers.map(({ kind }) => kind),
    }).toEqual({ inspect: 'binary', export: ['binary'], convert: ['binary'] });
    const x = withZeros(2 * 4 * 36);
    const expected = await (await createRun(model))(x, [2, 4, 6, 6]);
    for (const form of [lowered.model, converted.model, converted.lowered.model]) {
      expect(await (await createRun(form))(x, [2, 4, 6, 6])).toEqual(expected);
    }
  });

  it('numbers among the signs are data in float, in all three', () => {
    const bordered = (s: Source, x: Value): Value => s.op('Pad', [x, s.ints([0, 0, 1, 1, 0, 0, 1, 1]), s.c(0.5)]);
    const model = latent(bordered, 4, false);
    expect(summarizeModel(latent(bordered, 4, false)).layers[0]?.kind).toBe('weight-only');
    expect(lowerToPacked(model).report.layers[0]?.outcome).toBe('weight-only');
    expect(convertOnnx(model).report.layers[0]?.kind).toBe('weight-only');
  });

  it('plain weights of one magnitude per output, and α · Sign(W), are signs in all three', () => {
    const build = (): Model => {
      const s = new Source([2, 4, 6, 6]);
      s.builder.model.opsets.set('bnn', 1);
      const first = s.op(
        'Conv',
        [sign(s, s.x), s.c(s.signs([4, 4, 3, 3], [0.3, 2]))],
        { pads: ints([1, 1, 1, 1]) },
        'a',
      );
      const w = s.c(s.normals([5, 4, 3, 3]));
      const scaled = s.op('Mul', [sign(s, w), s.op('ReduceMean', [s.op('Abs', [w])])]);
      const model = s.finish(s.op('Conv', [sign(s, first), scaled], {}, 'b'));
      addBnnFunctions(model);
      return model;
    };
    const layers = summarizeModel(build()).layers.filter(({ op }) => op === 'Conv');
    expect(layers.map(({ kind, oneBitParameters }) => [kind, oneBitParameters])).toEqual([
      ['binary', 144],
      ['binary', 180],
    ]);
    expect(lowerToPacked(build()).report.layers.map(({ outcome }) => outcome)).toEqual(['binary', 'binary']);
    expect(convertOnnx(build()).report.layers.map(({ kind }) => kind)).toEqual(['binary', 'binary']);
  });
});
