/** Graphs that no exporter writes: each stage ends in a result within bounds, or in an error of the user's that names the node. */

import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { toStandardForm } from '../../src/convert/standard/standard-form.ts';
import { float32, int64s, scalar, type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { type Attributes, int, ints, string, tensorAttribute } from '../../src/graph/attribute.ts';
import { Graph, type Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { summarizeModel } from '../../src/tasks/model-summary.ts';
import { Source } from './build.ts';
import { createRun } from './run-model.ts';

function inspected(model: Model): null {
  summarizeModel(model);
  return null;
}

const STAGES: readonly (readonly [string, (model: Model) => Model | null])[] = [
  ['inspect', inspected],
  ['standard form', (model) => toStandardForm(model).model],
  ['convert', (model) => convertOnnx(model).model],
  ['pack', (model) => lowerToPacked(model).model],
];

/** What each stage makes of a model that goes through a file, or the code of its error; anything thrown but a BnnError fails. */
function outcomes(model: Model): Map<string, Model | BnnError | null> {
  const bytes = encodeModel(model);
  return new Map<string, Model | BnnError | null>(
    STAGES.map(([name, stage]): [string, Model | BnnError | null] => {
      try {
        const result = stage(decodeModel(bytes));
        if (result !== null) encodeModel(result);
        return [name, result];
      } catch (error) {
        if (error instanceof BnnError) return [name, error];
        throw error;
      }
    }),
  );
}

function errorOf(model: Model, stage: string): BnnError {
  const result = outcomes(model).get(stage);
  if (result instanceof BnnError) return result;
  throw new Error(`${stage} gives no error`);
}

describe('names that objects have anyway', () => {
  const NAMES = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf'];
  const OPSETS = [7, 9, 13, 17, 18, 21];

  it.each(NAMES)('%s as the type of an operator', (name) => {
    for (const opset of OPSETS) {
      for (const domain of ['', 'onnx.brevitas', 'loc', 'bnn']) {
        const s = new Source([2, 4], opset);
        s.builder.model.opsets.set(domain, domain === '' ? opset : 1);
        const type = domain === '' ? name : `${domain}.${name}`;
        const y = s.op(type, [s.op('Clip', [s.op(type, [s.x, s.c(1)])]), s.op(type, [s.c(2)])]);
        outcomes(s.finish(s.op('MatMul', [y, s.op(type, [s.c(s.signs([4, 4]))])])));
      }
    }
  });

  it.each(NAMES)('%s as every other name', async (name) => {
    const s = new Source([2, 4]);
    const { model } = s.builder;
    const attributes: Attributes = Object.fromEntries([[name, int(1)]]);
    const w = s.builder.constant(name, s.signs([4, 3]));
    const y = s.op('MatMul', [s.op('bnn.Sign', [s.x]), w], {}, name);
    const called = s.op(`loc.${name}`, [y], attributes, name);
    model.opsets.set('loc', 1).set('bnn', 1);
    const body = new Graph(name);
    const inner = body.addInput(name, { dtype: null, shape: null });
    body.addOutput(body.addNode('Neg', [inner], { outputs: ['constructor2'] }).output);
    model.functions.push({ domain: 'loc', name, body, attributes: [name], opsets: new Map([['', 17]]) });
    model.metadata.set(name, name);
    const results = outcomes(s.finish(s.op('Relu', [called])));
    const converted = results.get('convert');
    if (converted instanceof BnnError || converted == null) throw converted;
    const run = await createRun(lowerToPacked(converted).model);
    const x = Float32Array.of(1, -2, 3, -4, -1, 2, 0.5, 0);
    const signs = Array.from(x, (value) => (value >= 0 ? 1 : -1));
    const weights = Array.from(w.constant!.data, Number);
    const expected = Array.from({ length: 6 }, (_, i) => {
      const sum = [0, 1, 2, 3].reduce(
        (total, k) => total + signs[4 * Math.floor(i / 3) + k]! * weights[3 * k + (i % 3)]!,
        0,
      );
      return Math.max(0, -sum);
    });
    expect(Array.from(await run(x, [2, 4]), (value) => value + 0)).toEqual(expected);
  });
});

describe('constants that would grow without bound', () => {
  const GIGABYTE = 1e9;
  /** As `docs/convert.md` states it. */
  const most = (stored: number) => 2 ** 20 + 16 * stored;

  const repeated = (count: number, step: (y: Value) => Value, from: Value): Value => {
    let y = from;
    for (let i = 0; i < count; i++) y = step(y);
    return y;
  };
  const huge = int64s([2 ** 20, 2 ** 12]);
  const line = (s: Source, shape: readonly number[]) => s.c(s.normals(shape));
  const CASES: readonly (readonly [string, (s: Source) => Value])[] = [
    ['Concat(x, x) 40 times', (s) => repeated(40, (y) => s.op('Concat', [y, y], { axis: int(0) }), line(s, [8]))],
    [
      'the same of signs',
      (s) => repeated(40, (y) => s.op('Concat', [y, y], { axis: int(0) }), s.op('bnn.Sign', [line(s, [8])])),
    ],
    ['Expand', (s) => s.op('Expand', [s.c(1), s.c(huge)])],
    ['Tile', (s) => s.op('Tile', [line(s, [1, 1]), s.c(huge)])],
    ['ConstantOfShape', (s) => s.op('ConstantOfShape', [s.c(huge)], { value: tensorAttribute(float32([1], [1])) })],
    [
      'ConstantOfShape of a shape that is computed',
      (s) => s.op('ConstantOfShape', [s.op('Mul', [s.ints([2 ** 16]), s.ints([2 ** 15])])]),
    ],
    ['Range', (s) => s.op('Range', [s.c(0), s.c(1e9), s.c(1)])],
    ['Pad', (s) => s.op('Pad', [line(s, [4]), s.ints([0, 2 ** 31])])],
    ['Resize', (s) => s.op('Resize', [line(s, [1, 1, 2, 2]), null, s.c(float32([4], [1, 1, 1e5, 1e5]))])],
    ['OneHot', (s) => s.op('OneHot', [s.ints([1, 2, 3]), s.ints([2 ** 30]), s.c(float32([2], [0, 1]))])],
    [
      'Gather',
      (s) =>
        repeated(
          10,
          (y) => s.op('Gather', [y, s.c(int64s(new Array<number>(2000).fill(0)))], { axis: int(-1) }),
          line(s, [2000]),
        ),
    ],
    [
      'Gather of rows of rows',
      (s) =>
        repeated(
          6,
          (y) => s.op('Gather', [y, s.c(tensor('int64', [100, 100], new BigInt64Array(10_000)))], { axis: int(0) }),
          line(s, [2, 9]),
        ),
    ],
    ['broadcasting', (s) => s.op('Add', [line(s, [1, 20_000]), line(s, [20_000, 1])])],
    [
      'broadcasting, compared',
      (s) => s.op('Cast', [s.op('Greater', [line(s, [1, 20_000]), line(s, [20_000, 1])])], { to: int(1) }),
    ],
    [
      'Where',
      (s) => s.op('Where', [s.c(tensor('bool', [40_000], new Uint8Array(40_000))), line(s, [40_000, 1]), s.c(0)]),
    ],
    ['Einsum', (s) => s.op('Einsum', [line(s, [20_000]), line(s, [20_000])], { equation: string('i,j->ij') })],
    ['MatMul', (s) => s.op('MatMul', [line(s, [20_000, 1]), line(s, [1, 20_000])])],
    [
      'many that are each small enough',
      (s) => repeated(500, (y) => s.op('Add', [s.op('Neg', [y]), s.op('Expand', [s.c(1), s.ints([2 ** 19])])]), s.c(1)),
    ],
    [
      'looked at again and again',
      (s) =>
        repeated(
          100,
          (y) => s.op('Mul', [y, s.op('bnn.Sign', [y])]),
          s.op('Expand', [line(s, [1]), s.ints([2 ** 20 - 1])]),
        ),
    ],
  ];

  it.each(CASES)(
    '%s',
    (_, grow) => {
      const s = new Source(['N', 8]);
      s.builder.model.opsets.set('bnn', 1);
      const number = s.op('ReduceMax', [grow(s)], { keepdims: int(0) });
      const model = s.finish(s.op('Mul', [s.x, number]));
      const stored = [...model.graph.constants()].reduce((sum, { constant }) => sum + constant.data.length, 0);
      const before = process.memoryUsage().rss;
      for (const result of outcomes(model).values()) {
        if (result === null) continue;
        if (result instanceof BnnError) expect(['E_SHAPE', 'E_FORMAT', 'E_UNSUPPORTED']).toContain(result.code);
        else
          for (const { constant } of result.graph.constants()) expect(constant.data.length).toBeLessThan(most(stored));
      }
      expect(process.memoryUsage().rss - before).toBeLessThan(GIGABYTE);
    },
    60_000,
  );

  it('what stays computes what it did', async () => {
    const s = new Source(['N', 8]);
    const outer = s.op('Add', [line(s, [1, 1500]), line(s, [1500, 1])]);
    const model = s.finish(s.op('Mul', [s.x, s.op('ReduceMean', [outer], { keepdims: int(0) })]));
    const { model: latent, lowered } = convertOnnx(model);
    for (const result of [latent, lowered.model]) {
      expect([...result.graph.nodes()].map(({ op }) => op)).toContain('Add');
      const x = Float32Array.from({ length: 16 }, (_, i) => i - 7.5);
      expect(await (await createRun(result))(x, [2, 8])).toEqual(await (await createRun(model))(x, [2, 8]));
    }
  });

  it('weights of any size still fold, and bits unpack', () => {
    const s = new Source(['N', 4096]);
    const bytes = tensor(
      'uint8',
      [512, 512],
      Uint8Array.from({ length: 2 ** 18 }, (_, i) => i),
    );
    const masks = s.c(tensor('uint8', [8], Uint8Array.of(1, 2, 4, 8, 16, 32, 64, 128)));
    const shifts = s.op('Mod', [
      s.op('Div', [s.op('Unsqueeze', [s.c(bytes), s.ints([2])]), masks]),
      s.c(tensor('uint8', [], Uint8Array.of(2))),
    ]);
    const w = s.op('Sub', [s.op('Mul', [s.op('Cast', [shifts], { to: int(1) }), s.c(2)]), s.c(1)]);
    const flat = s.op('Transpose', [s.op('Reshape', [w, s.ints([512, 4096])])]);
    const { report } = convertOnnx(
      s.finish(s.op('MatMul', [s.op('Where', [s.op('GreaterOrEqual', [s.x, s.c(0)]), s.c(1), s.c(-1)]), flat])),
    );
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary']);
  });
});

describe('sizes and numbers that are none', () => {
  const shapes: readonly (readonly [string, (s: Source) => Value])[] = [
    ['ConstantOfShape(0.5)', (s) => s.op('ConstantOfShape', [s.c(0.5)])],
    ['ConstantOfShape(NaN)', (s) => s.op('ConstantOfShape', [s.c(Number.NaN)])],
    ['ConstantOfShape(−3)', (s) => s.op('ConstantOfShape', [s.ints([-3])])],
    ['Reshape to fractions', (s) => s.op('Reshape', [s.x, s.c(float32([2], [0.5, 16]))])],
    ['Reshape to −2', (s) => s.op('Reshape', [s.x, s.ints([-2, -4])])],
    ['Expand to fractions', (s) => s.op('Expand', [s.x, s.c(float32([2], [2.5, 8]))])],
    ['Tile by −1', (s) => s.op('Tile', [s.x, s.ints([-1, 1])])],
    ['Tile by half', (s) => s.op('Tile', [s.x, s.c(float32([2], [0.5, 1]))])],
    ['Pad by half', (s) => s.op('Pad', [s.x, s.c(float32([4], [0.5, 0, 0, 0]))])],
    ['Unsqueeze 100 axes', (s) => s.op('Unsqueeze', [s.x, s.c(int64s(Array.from({ length: 100 }, (_, i) => i)))])],
    ['Slice by half', (s) => s.op('Slice', [s.x, s.c(float32([1], [0.5])), s.c(float32([1], [1.5]))])],
    ['Sqrt of an integer', (s) => s.op('Reshape', [s.x, s.op('Sqrt', [s.ints([3, 2])])])],
    ['Div of an integer by 0', (s) => s.op('Reshape', [s.x, s.op('Div', [s.ints([3, 2]), s.ints([0, 0])])])],
    [
      'Pow of integers beyond 64 bits',
      (s) => s.op('Reshape', [s.x, s.op('Pow', [s.ints([10, 10]), s.ints([100, -1])])]),
    ],
    ['Log of an integer', (s) => s.op('Expand', [s.x, s.op('Log', [s.ints([0, -1])])])],
    ['mean of integers', (s) => s.op('Expand', [s.x, s.op('ReduceMean', [s.ints([1, 2])], { axes: ints([0]) })])],
    [
      'Cast of NaN',
      (s) => s.op('Expand', [s.x, s.op('Cast', [s.c(float32([2], [Number.NaN, Infinity]))], { to: int(7) })]),
    ],
  ];

  it.each(shapes)('%s', (_, op) => {
    const s = new Source([2, 8]);
    for (const result of outcomes(s.finish(op(s))).values()) {
      if (result instanceof BnnError)
        expect(['E_SHAPE', 'E_FORMAT', 'E_NUMERIC', 'E_UNSUPPORTED']).toContain(result.code);
    }
  });

  it('groups that do not divide the channels, or are as many as memory has bytes', () => {
    for (const groups of [0, 3, 2 ** 40]) {
      const s = new Source([2, 8, 4], 18);
      const model = s.finish(s.op('GroupNormalization', [s.x, s.c(1), s.c(1)], { num_groups: int(groups) }));
      expect(errorOf(model, 'convert')).toMatchObject({
        code: 'E_UNSUPPORTED',
        at: expect.stringContaining('GroupNormalization'),
      });
    }
  });
});

describe('outputs that an operator has not', () => {
  const CONST: Tensor = scalar(1);
  it.each(['Identity', 'Relu', 'Sign', 'Add', 'MatMul', 'Softmax', 'Conv', 'Reshape', 'Constant', 'Dropout', 'Einsum'])(
    '%s: an error that names the node',
    (op) => {
      const s = new Source([2, 8], 11);
      const { graph } = s.builder.model;
      const attributes: Attributes = op === 'Constant' ? { value: tensorAttribute(CONST) } : {};
      const outputs = ['a', 'b', 'c'];
      const node = graph.addNode(op, op === 'Constant' ? [] : [s.x, s.x], { name: 'twice', outputs, attributes });
      const model = s.finish(s.op('Relu', [node.outputs[2]!]));
      for (const stage of ['convert', 'pack']) {
        expect(errorOf(model, stage)).toMatchObject({ code: 'E_FORMAT', at: `node "twice" (${op})` });
      }
    },
  );

  it('of an operator without a rule: refused, or left as it is', () => {
    for (const [op, opset] of [
      ['Upsample', 9],
      ['Resize', 10],
      ['TopK', 9],
      ['Nothing', 17],
    ] as const) {
      const s = new Source([2, 8], opset);
      const node = s.builder.model.graph.addNode(op, [s.x, s.c(1)], { outputs: ['a', 'b'], attributes: { k: int(1) } });
      outcomes(s.finish(s.op('Relu', [node.outputs[1]!])));
    }
  });
});

it('declared types that contradict a quantizer are an error of the file', () => {
  const s = new Source(['N', 8]);
  s.builder.model.opsets.set('onnx.brevitas', 1);
  const scale = s.builder.input('scale', 'float32', ['N', 2, 8]);
  const q = s.op(
    'onnx.brevitas.Quant',
    [s.x, scale, s.c(0), s.c(4)],
    { signed: int(1), narrow: int(0), rounding_mode: string('ROUND') },
    'qu',
  );
  expect(errorOf(s.finish(q), 'convert')).toMatchObject({
    code: 'E_SHAPE',
    message: expect.stringContaining('[N, 2, 8]'),
    at: expect.stringContaining('qu'),
  });
});

it('declared types that contradict the operators are left aside where the operators know better', () => {
  const s = new Source(['N', 8]);
  const w = s.c(s.signs([8, 4]));
  const a = s.op('Sign', [s.x]);
  a.dtype = 'int64';
  a.shape = [3, 1, 1];
  const resized = s.op('Where', [s.op('Less', [s.x, s.c(0)]), s.c(-1), s.c(1)]);
  resized.shape = [2];
  expect(convertOnnx(s.finish(s.op('MatMul', [resized, w]))).report.layers.map(({ kind }) => kind)).toEqual(['binary']);
});

describe('depth', () => {
  it('20,000 functions inside each other, in either order', () => {
    for (const order of [1, -1]) {
      const s = new Source(['N', 8]);
      const { model } = s.builder;
      model.opsets.set('loc', 1);
      const functions = Array.from({ length: 20_000 }, (_, i) => {
        const body = new Graph(`f${i}`);
        const x = body.addInput('a', { dtype: null, shape: null });
        const node = i === 0 ? body.addNode('Neg', [x]) : body.addNode(`f${i - 1}`, [x], { domain: 'loc' });
        body.addOutput(node.output);
        return {
          domain: 'loc',
          name: `f${i}`,
          body,
          attributes: [],
          opsets: new Map([
            ['', 17],
            ['loc', 1],
          ]),
        };
      });
      for (const f of order === 1 ? functions : functions.toReversed()) model.functions.push(f);
      expect(errorOf(s.finish(s.op('loc.f19999', [s.x])), 'convert')).toMatchObject({
        code: 'E_FORMAT',
        message: expect.stringContaining('200 functions'),
      });
    }
  }, 60_000);

  it.each([
    'Relu',
    'Neg',
    'Mul',
    'Max',
    'Concat',
    'Where',
    'Transpose',
    'Clip',
    'Abs',
    'Sub',
    'Identity',
    'Cast',
    'Reshape',
    'PRelu',
    'HardSigmoid',
  ])(
    'a chain of 2,000 %s',
    (op) => {
      const s = new Source([4, 8]);
      let y: Value = op === 'Where' ? s.op('bnn.Sign', [s.x]) : s.x;
      s.builder.model.opsets.set('bnn', 1);
      const one = s.c(1);
      const condition = s.c(tensor('bool', [], Uint8Array.of(1)));
      const shape = s.ints([4, 8]);
      for (let i = 0; i < 2000; i++) {
        if (op === 'Where') y = s.op(op, [condition, y, one]);
        else if (op === 'Reshape') y = s.op(op, [y, shape]);
        else if (['Mul', 'Max', 'Sub', 'PRelu'].includes(op)) y = s.op(op, [y, one]);
        else
          y = s.op(
            op,
            [y],
            op === 'Cast'
              ? { to: int(1) }
              : op === 'Concat'
                ? { axis: int(0) }
                : op === 'Transpose'
                  ? { perm: ints([0, 1]) }
                  : {},
          );
      }
      for (const result of outcomes(s.finish(s.op('MatMul', [s.op('bnn.Sign', [y]), s.c(s.signs([8, 2]))]))).values())
        expect(result).not.toBeInstanceOf(BnnError);
    },
    60_000,
  );
});
