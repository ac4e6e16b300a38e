/**
 * Every rewrite on its own: the model of `rewrites/NAME.txt` above `=>` becomes the one below by applying it exactly once, and
 * both give the same numbers in stock onnxruntime.
 *
 * `normal N`, `signs N` and `bits N` stand for constants drawn from that seed; `bits N` is the packed form of N input channels.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CompileContext } from '../../src/compiler/context.ts';
import { PIPELINE } from '../../src/compiler/pipeline.ts';
import { INT8_REWRITES } from '../../src/compiler/quantize-int8.ts';
import { conversionPasses } from '../../src/convert/pipeline.ts';
import { SignLog } from '../../src/convert/signs/sign-log.ts';
import { LOWER_FOREIGN } from '../../src/convert/standard/standard-form.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import { elementCount } from '../../src/core/tensors/shape.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import { inferShapes } from '../../src/graph/infer/infer-shapes.ts';
import type { Model } from '../../src/graph/model.ts';
import { parseModel } from '../../src/graph/parse.ts';
import { printModel } from '../../src/graph/print.ts';
import { verify } from '../../src/graph/verify.ts';
import { packConvWeights } from '../../src/operators/pack-weights.ts';
import { addBnnFunctions, INFER_RULES } from '../../src/operators/registry.ts';
import { applyRewrites, type Rewrite } from '../../src/rewriting/rewrite.ts';
import { randomInput } from '../compiler/small-net.ts';
import { runStock } from '../operators/run-stock.ts';

const HEADER =
  'model ir 8, opset "" 17, opset "bnn" 1, opset "qonnx.custom_op.general" 1\nproducer "" ""\ngraph "main" {\n';
const FOLDER = fileURLToPath(new URL('rewrites/', import.meta.url));

const CASES = readdirSync(FOLDER).map((file) => basename(file, '.txt'));

const REWRITES = new Map<string, Rewrite<CompileContext>>(
  [...PIPELINE, ...conversionPasses(new SignLog(), 'exact'), LOWER_FOREIGN]
    .flatMap(({ rewrites }) => rewrites)
    .concat(INT8_REWRITES)
    .map((rewrite) => [rewrite.name, rewrite]),
);

/** What the operators of QONNX are defined to give; onnxruntime has none of them. */
const DEFINED: Readonly<Record<string, (x: number) => number>> = {
  'lower-bipolar-quant': (x) => (x >= 0 ? 0.5 : -0.5),
  'lower-quant': (x) => 0.5 * Math.min(Math.max(roundHalfToEven(x / 0.5), -8), 7),
  'lower-trunc': (x) => 0.5 * Math.floor(roundHalfToEven(x / 0.5) / 16),
};

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

function drawn(
  shape: readonly number[],
  kind: string,
  number: number,
): { dtype: string; shape: readonly number[]; data: Tensor['data'] } {
  const rng = new Rng(kind === 'bits' ? 1 : number);
  const normals = (sizes: readonly number[]) => Float32Array.from({ length: elementCount(sizes) }, () => rng.normal());
  if (kind === 'normal') return float32(shape, normals(shape));
  if (kind === 'signs')
    return float32(
      shape,
      normals(shape).map((x) => (x >= 0 ? 1 : -1)),
    );
  const [outputs = 0, height = 0, width = 0] = shape;
  const sizes = [outputs, number, height, width];
  return packConvWeights(normals(sizes), sizes);
}

/** Numbers in place of `normal N`, `signs N` and `bits N`. */
function withNumbers(text: string): string {
  return text.replace(/: (\w+)\[([\d, ]*)\] = (normal|signs|bits) (\d+)/g, (_, dtype, sizes, kind, number) => {
    const { data } = drawn(sizes.split(', ').map(Number), kind, Number(number));
    return `: ${dtype}[${sizes}] = [${Array.from(data as Float32Array).join(', ')}]`;
  });
}

function read(text: string): Model {
  const model = parseModel(`${HEADER}${withNumbers(text)}}`);
  inferShapes(model, INFER_RULES);
  return model;
}

/** The lines inside the graph; constants of many numbers without them. */
function written(model: Model): string {
  const lines = printModel(model, { data: 'summary' }).split('\n');
  const start = lines.findIndex((line) => line.startsWith('graph '));
  return `${lines
    .slice(start + 1, lines.indexOf('}', start))
    .map((line) => line.trim())
    .join('\n')}\n`;
}

/** The first output in stock onnxruntime, for inputs on both sides of every threshold here. */
async function outputOf(model: Model): Promise<Float32Array> {
  addBnnFunctions(model);
  const feeds = Object.fromEntries(
    Object.entries(randomInput(model, 2)).map(([name, { shape, data }]) => [
      name,
      float32(
        shape,
        Float32Array.from(data as Float32Array, (x) => 2 * x),
      ),
    ]),
  );
  return Float32Array.from(await runStock(model, feeds, { graphOptimizationLevel: 'disabled' }));
}

async function expectedOf(name: string, before: string): Promise<Float32Array> {
  const defined = DEFINED[name];
  if (defined === undefined) return outputOf(read(before));
  const { x } = randomInput(read(before), 2);
  return Float32Array.from(x?.data as Float32Array, (value) => defined(2 * value));
}

describe('rewrites', () => {
  it('each has a case', () => {
    expect(CASES.toSorted()).toEqual([...REWRITES.keys()].toSorted());
  });

  it.each(CASES)('%s applies exactly once, and the numbers stay', async (name) => {
    const rewrite = REWRITES.get(name);
    if (rewrite === undefined) throw new Error(`there is no rewrite ${name}`);
    const [before = '', after = ''] = readFileSync(`${FOLDER}${name}.txt`, 'utf8').split('=>\n');
    const model = read(before);
    const counts = applyRewrites([rewrite], new CompileContext(model));
    verify(model);
    expect(Object.fromEntries(counts)).toEqual({ [name]: 1 });
    expect(written(model)).toBe(after);
    expect(relativeError(await outputOf(model), await expectedOf(name, before))).toBeLessThanOrEqual(2e-6);
  });
});
