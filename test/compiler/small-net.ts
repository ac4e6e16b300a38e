/** Small latent networks with random parameters, and the comparison of latent with packed form. */

import { expect } from 'vitest';
import { type Lowered, type LowerOptions, lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { relativeError } from '../../src/core/numbers/tolerance.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer/infer-shapes.ts';
import type { Model } from '../../src/graph/model.ts';
import { addBnnFunctions, INFER_RULES } from '../../src/operators/registry.ts';
import { Network, normals } from '../models/network.ts';
import { runStock } from '../operators/run-stock.ts';

export class SmallNet extends Network {
  #convolutions = 0;

  constructor(seed = 1) {
    super('small', seed);
    this.builder.model.opsets.set('bnn', 1);
  }

  input(shape: readonly (number | string)[], name = 'input'): Value {
    return this.builder.input(name, 'float32', shape);
  }

  sign(x: Value): Value {
    return this.op('bnn.Sign', [x]);
  }

  /** A convolution of padding 1 with kernel 3, named conv, conv1, conv2 … (onnxruntime wants unique names). */
  conv(x: Value, w: Value, attributes: Attributes = {}, bias?: Value): Value {
    const inputs = bias === undefined ? [x, w] : [x, w, bias];
    const count = this.#convolutions++;
    const name = count === 0 ? 'conv' : `conv${count}`;
    return this.op('Conv', inputs, { pads: ints([1, 1, 1, 1]), ...attributes }, name);
  }

  binaryConv(x: Value, channels: number, outputs: number, attributes: Attributes = {}): Value {
    return this.conv(this.sign(x), this.sign(this.random([outputs, channels, 3, 3])), attributes);
  }

  /** BatchNormalization with random parameters, gamma of both signs. */
  batchNorm(x: Value, channels: number): Value {
    const variance = float32(
      [channels],
      this.normals([channels]).data.map((v) => 0.5 + v * v),
    );
    const parameters = [this.random([channels]), this.random([channels]), this.random([channels], 3)];
    return this.op('BatchNormalization', [x, ...parameters, this.c(variance)]);
  }

  /** Ends the network. */
  finish(output: Value): Model {
    const { model } = this.builder;
    model.graph.addOutput(output);
    return withTypes(model);
  }
}

/** Completes a latent model as a file of it is: types known, functions on board. */
export function withTypes(model: Model): Model {
  inferShapes(model, INFER_RULES);
  addBnnFunctions(model);
  return model;
}

/** `Node.type` of all nodes in order. */
export function operators(model: Model): string[] {
  return [...model.graph.nodes()].map(({ type }) => type);
}

export function randomInput(model: Model, batch: number, seed = 99): Record<string, Tensor> {
  const rng = new Rng(seed);
  const feeds: Record<string, Tensor> = {};
  for (const { name, shape } of model.graph.inputs) {
    const sizes = (shape ?? []).map((size) => (typeof size === 'number' ? size : batch));
    feeds[name] = normals(rng, sizes);
  }
  return feeds;
}

/**
 * Lowers a model and compares both forms in stock onnxruntime, relative in the Euclidean norm.
 *
 * The latent form runs unoptimized: optimized, onnxruntime multiplies scaling factors into ±1 weights, so that sums which are
 * exactly 0 come out as ±1e-9 and the next Sign may flip.
 */
export async function expectSame(latent: Model, options: LowerOptions = {}, tolerance = 1e-5): Promise<Lowered> {
  const lowered = lowerToPacked(latent, { verify: true, ...options });
  const feeds = randomInput(latent, 2);
  const expected = await runStock(latent, feeds, { graphOptimizationLevel: 'disabled' });
  const actual = await runStock(lowered.model, feeds);
  expect(relativeError(actual, expected)).toBeLessThanOrEqual(tolerance);
  return lowered;
}
