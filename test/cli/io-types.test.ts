/** `--verify` draws what a model takes and compares what it gives, whatever the types. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { fromNumbers, numberToHalf } from '../../src/core/tensors/from-numbers.ts';
import { type Dtype, halfToNumber, tensor } from '../../src/core/tensors/tensor.ts';
import { int } from '../../src/graph/attribute.ts';
import type { Shape, Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { compareForms } from '../../src/inference/compare-forms.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { checkModels } from '../../src/tasks/convert-check.ts';
import { Source } from '../convert/build.ts';
import { runCli } from './spawn-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-io-'));
afterAll(() => rmSync(folder, { recursive: true }));

const float = (s: Source, x: Value): Value => s.op('Cast', [x], { to: int(1) });

/** A binary layer on what an input becomes as a float. */
function model(dtype: Dtype, make: (s: Source, x: Value) => Value = float, shape: Shape = ['n', 32]): Model {
  const s = new Source(['n', 1]);
  s.builder.model.opsets.set('bnn', 1);
  const x = s.builder.input('in', dtype, shape);
  const signs = s.op('bnn.Sign', [s.op('Sub', [make(s, x), s.c(0.3)])]);
  const y = s.op('MatMul', [signs, s.op('bnn.Sign', [s.c(s.normals([32, 10]))])]);
  const out = s.finish(s.op('Add', [y, s.x]));
  addBnnFunctions(out);
  return out;
}

const CHECK = { limit: 64, pixels: 'normalized' } as const;

async function verify(source: Model): Promise<void> {
  const { model: latent, lowered } = convertOnnx(source);
  const forms = [latent, lowered.model].map((form) => ({ name: 'it', bytes: encodeModel(form) }));
  const { inputs, agreements } = await checkModels(encodeModel(source), forms, CHECK);
  expect(inputs).toBe(64);
  for (const agreement of agreements) expect(agreement).toMatchObject({ maxDifference: 0, changed: 0 });
  const packed = encodeModel(lowerToPacked(source).model);
  expect(await compareForms(packed, encodeModel(source))).toMatchObject({
    passed: true,
    maxDifference: 0,
    agreement: 1,
  });
}

describe('inputs', () => {
  it.each(['uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'bool'] as const)(
    '%s beside float32',
    async (dtype) => {
      await verify(model(dtype));
    },
  );

  it.each(['float16', 'float64'] as const)('%s, which a conversion widens', async (dtype) => {
    const source = model(dtype);
    const packed = encodeModel(lowerToPacked(source).model);
    expect(await compareForms(packed, encodeModel(source))).toMatchObject({ passed: true, maxDifference: 0 });
    const file = join(folder, `${dtype}.onnx`);
    writeFileSync(file, encodeModel(source));
    const { code, stdout } = await runCli([file, '--verify'], { program: 'bnn-convert' });
    expect({ code, isVerified: /packed +64 random inputs.*difference 0/.test(stdout) }).toEqual({
      code: 0,
      isVerified: true,
    });
  });

  it.each(['int32', 'int64'] as const)('positions of %s stay within what they look up', async (dtype) => {
    const table = (s: Source): Value => s.c(s.normals([7, 32]));
    await verify(model(dtype, (s, x) => s.op('Gather', [table(s), x]), ['n']));
    const shifted = (s: Source, x: Value): Value => {
      const one = s.c(fromNumbers(dtype, [], [3]));
      return s.op('Gather', [table(s), s.op('Sub', [s.op('Reshape', [x, s.ints([-1])]), one])]);
    };
    await verify(model(dtype, shifted, ['n', 1]));
  });

  it('a name of a size is one size', async () => {
    const s = new Source(['n', 'm']);
    const other = s.builder.input('other', 'float32', ['n', 'm']);
    const sum = s.op('ReduceSum', [s.op('Add', [s.x, other]), s.ints([1])]);
    const source = s.finish(sum);
    const result = await checkModels(encodeModel(source), [{ name: 'it', bytes: encodeModel(source) }], CHECK);
    expect(result.agreements[0]).toMatchObject({ maxDifference: 0, changed: 0 });
  });
});

describe('outputs', () => {
  const decided = (shift: number): Model => {
    const s = new Source(['n', 32]);
    const logits = s.op('MatMul', [
      s.op('Where', [s.op('GreaterOrEqual', [s.x, s.c(0)]), s.c(1), s.c(-1)]),
      s.c(s.signs([32, 10])),
    ]);
    const best = s.op('Add', [
      s.op('ArgMax', [logits], { axis: int(1), keepdims: int(0) }),
      s.c(tensor('int64', [], BigInt64Array.of(BigInt(shift)))),
    ]);
    s.builder.output(logits, 'float32', ['n', 10]);
    s.builder.output(best, 'int64', ['n']);
    return s.builder.model;
  };

  it('several, integers among them, are all compared; one more is a difference', async () => {
    const source = decided(0);
    const { model: latent, lowered } = convertOnnx(source);
    const forms = [latent, lowered.model, decided(1)].map((form) => ({ name: 'it', bytes: encodeModel(form) }));
    const { agreements } = await checkModels(encodeModel(source), forms, CHECK);
    expect(agreements.map(({ maxDifference, changed }) => [maxDifference, changed])).toEqual([
      [0, 0],
      [0, 0],
      [1, 64],
    ]);
    expect(await compareForms(encodeModel(decided(1)), encodeModel(source))).toMatchObject({
      passed: false,
      imagesBeyondTolerance: 64,
    });
  });

  it('bnn-convert writes nothing where an integer differs, and says what was compared where none does', async () => {
    const file = join(folder, 'argmax.onnx');
    writeFileSync(file, encodeModel(decided(0)));
    const { code, stdout } = await runCli([file, '--verify', '-o', join(folder, 'latent.onnx')], {
      program: 'bnn-convert',
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/packed +64 random inputs, normalized: largest difference 0/);
  });

  it('one number that is another one is a difference, although it has no arg-max', async () => {
    const one = (factor: number): Model => {
      const s = new Source(['n', 32]);
      return s.finish(s.op('Sigmoid', [s.op('Mul', [s.op('MatMul', [s.x, s.c(s.normals([32, 1]))]), s.c(factor)])]));
    };
    const { agreements } = await checkModels(encodeModel(one(1)), [{ name: 'it', bytes: encodeModel(one(-1)) }], CHECK);
    expect(agreements[0]!.changed).toBeGreaterThan(60);
  });
});

it('half precision is rounded as a typed array of halves would', () => {
  for (let bits = 0; bits < 0x7c00; bits += 7) expect(numberToHalf(halfToNumber(bits))).toBe(bits);
  expect([1 / 3, 65519, 65520, -0, 2 ** -25, 2 ** -24 * 1.5].map(numberToHalf)).toEqual([
    0x3555, 0x7bff, 0x7c00, 0x8000, 0, 2,
  ]);
});
