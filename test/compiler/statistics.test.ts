import { describe, expect, test } from 'vitest';
import { countMacs, countParameters, layerStatistics } from '../../src/compiler/statistics.ts';
import { float32, scalar, type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import type { Shape, Value } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer/infer-shapes.ts';
import type { InferRules } from '../../src/graph/infer/rule.ts';
import { STANDARD_RULES } from '../../src/graph/infer/standard-rules.ts';
import { Model } from '../../src/graph/model.ts';

const ones = (...shape: number[]): Tensor => float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1));
/** Numbers of several magnitudes. */
const several = (...shape: number[]): Tensor => {
  const { data } = ones(...shape) as Tensor<'float32'>;
  return float32(
    shape,
    data.map((_, i) => i + 1),
  );
};

class Net {
  readonly model = new Model();
  input(shape: Shape): Value {
    return this.model.graph.addInput(`x${this.model.graph.inputs.length}`, { dtype: 'float32', shape });
  }
  constant(data: Tensor): Value {
    return this.model.graph.addConstant('', data);
  }
  op(op: string, inputs: Value[], attributes: Attributes = {}, domain = ''): Value {
    return this.model.graph.addNode(op, inputs, { domain, attributes }).output;
  }
  sign(x: Value): Value {
    return this.op('Sign', [x], {}, 'bnn');
  }
  infer(): Model {
    const rules: InferRules = new Map([...STANDARD_RULES, ['bnn.Sign', (node) => [node.requiredInput(0)]]]);
    inferShapes(this.model, rules);
    return this.model;
  }
}

/** type, kind, multiply-adds, 1-bit parameters, float parameters */
const rows = (model: Model): unknown[] =>
  layerStatistics(model).map((l) => [l.node.type, l.kind, l.macs, l.oneBitParameters, l.floatParameters]);

describe('layerStatistics', () => {
  test('a convolution is binary when both operands are signs, weight-only when the weight is', () => {
    const net = new Net();
    const x = net.input(['N', 4, 8, 8]);
    const w = (): Value => net.constant(ones(6, 2, 3, 3));
    net.op('Conv', [net.sign(x), net.sign(w()), net.constant(ones(6))], { group: int(2) });
    net.op('Conv', [x, net.sign(w())], { group: int(2), pads: ints([1, 1, 1, 1]) });
    net.op('Conv', [net.sign(x), w()], { group: int(2) });
    net.op('Conv', [net.sign(x), net.constant(several(6, 2, 3, 3))], { group: int(2) });
    expect(rows(net.infer())).toEqual([
      ['Conv', 'binary', 6 * 36 * 18, 108, 6],
      ['Conv', 'weight-only', 6 * 64 * 18, 108, 0],
      // Plain numbers of one magnitude are as good as signs, where the data are signs.
      ['Conv', 'binary', 6 * 36 * 18, 108, 0],
      ['Conv', 'float', 6 * 36 * 18, 0, 108],
    ]);
  });

  test('dense layers, also with signs that were rearranged', () => {
    const net = new Net();
    const x = net.input(['N', 4, 2, 2]);
    const flat = net.op('Flatten', [net.sign(x)]);
    const transposed = net.op('Transpose', [net.sign(net.constant(ones(16, 5)))]);
    net.op('Gemm', [flat, transposed, net.constant(ones(5))], { transB: int(1) });
    net.op('MatMul', [flat, net.constant(several(16, 3))]);
    expect(rows(net.infer())).toEqual([
      ['Gemm', 'binary', 80, 80, 5],
      ['MatMul', 'float', 48, 0, 48],
    ]);
  });

  test('running statistics and lone numbers are no parameters; a shared weight counts once', () => {
    const net = new Net();
    const x = net.input(['N', 3]);
    const four = [1, 2, 3, 4].map(() => net.constant(ones(3)));
    const normal = net.op('BatchNormalization', [x, ...four]);
    const scaled = net.op('Mul', [normal, net.constant(scalar(2))]);
    const shifted = net.op('Add', [scaled, net.constant(ones(3))]);
    const w = net.constant(ones(3, 3));
    net.op('MatMul', [net.op('MatMul', [shifted, w]), w]);
    const model = net.infer();
    expect(rows(model)).toEqual([
      ['BatchNormalization', 'float', 0, 0, 6],
      ['Add', 'float', 0, 0, 3],
      ['MatMul', 'float', 9, 0, 9],
      ['MatMul', 'float', 9, 0, 0],
    ]);
    expect(countParameters(model)).toMatchObject({ total: 18, oneBit: 0, float: 18 });
  });

  test('packed layers', () => {
    const net = new Net();
    const x = net.input(['N', 20, 8, 8]);
    const packed = net.constant(tensor('uint8', [6, 3, 3, 3], new Uint8Array(162)));
    const y = net.op(
      'BinaryConvReluAdd',
      [x, packed, net.constant(ones(6)), net.constant(ones(6))],
      { channels: int(20) },
      'bnn',
    );
    y.shape = ['N', 6, 6, 6];
    const rowsOf7 = net.constant(tensor('uint8', [7, 27], new Uint8Array(189)));
    const z = net.op(
      'BinaryWeightGemm',
      [y, rowsOf7, net.constant(ones(7)), net.constant(ones(7))],
      { channels: int(216) },
      'bnn',
    );
    z.shape = ['N', 7];
    const bits = net.constant(tensor('uint8', [2, 1, 1, 3], new Uint8Array(6)));
    const signs = net.op(
      'BinaryThresholdConvSign',
      [x, bits, net.constant(ones(2)), net.constant(ones(20))],
      { channels: int(20) },
      'bnn',
    );
    signs.shape = ['N', 2, 8, 8];
    expect(rows(net.model)).toEqual([
      ['bnn.BinaryConvReluAdd', 'binary', 6 * 36 * 180, 6 * 180, 12],
      ['bnn.BinaryWeightGemm', 'weight-only', 7 * 216, 7 * 216, 14],
      ['bnn.BinaryThresholdConvSign', 'binary', 2 * 64 * 20, 2 * 20, 22],
    ]);
    expect(countMacs(net.model)).toEqual({ binary: 38_880 + 2560, weightOnly: 1512, float: 0, unknown: [] });
  });

  test('weights behind DequantizeLinear count by the bits that they are stored in', () => {
    const net = new Net();
    const x = net.input(['N', 4, 8, 8]);
    const stored = (t: Tensor): Value => net.op('DequantizeLinear', [net.constant(t), net.constant(ones(6))]);
    const w = stored(tensor('int8', [6, 4, 1, 1], new Int8Array(24)));
    net.op('Conv', [x, w, stored(tensor('int32', [6], new Int32Array(6)))]);
    const [layer] = layerStatistics(net.infer());
    expect(layer).toMatchObject({ kind: 'float', macs: 24 * 64, eightBitParameters: 24, floatParameters: 6 });
    expect(countParameters(net.model)).toMatchObject({ total: 30, oneBit: 0, eightBit: 24, float: 6 });
  });

  test('unknown sizes are reported, not guessed', () => {
    const net = new Net();
    const x = net.input(['N', 3, 'H', 'W']);
    net.op('Conv', [x, net.constant(ones(4, 3, 3, 3))]);
    const { float, unknown } = countMacs(net.infer());
    expect([float, unknown.map(({ type }) => type)]).toEqual([0, ['Conv']]);
    expect(countParameters(net.model).total).toBe(108);
  });
});
