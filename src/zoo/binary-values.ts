/**
 * The values that a binary layer computes with: a factor behind its integer sum, or two values that need not be opposite.
 *
 * - `mean`     ± the mean absolute latent weight of the layer, differentiated through (Wu et al., ICCV 2023, arXiv:2308.06689).
 * - `learned`  ± a learned number for each output channel, uniform in [0, 1) at first (ReCU, arXiv:2103.12369, and BiPer, arXiv:2404.01278).
 * - `adabin`   Weights are μ ± σ, mean and deviation of the latent weights of their filter; activations are −β ± α, learned for each
 *              layer, and what lies between them is their sign (AdaBin, ECCV 2022, arXiv:2208.08084).
 *
 * AdaBin's layer is written with integer sums, which a packed file can hold:
 *
 *     s = sign((x + shift)/α)    b = sign((w − μ)/σ)    y = α·σ·conv(s, b) + α·μ·conv(s, 1)
 *
 * conv(s, 1) is one filter of ones for all channels. Left out is what the centre −β of the activations adds, −β·Σ(μ + σ·b): a number
 * for each channel, which the normalization behind every such layer takes out again. So padding stands for that centre, where the
 * authors' code pads with 0.
 */

import { int64s } from '../core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../graph/attribute.ts';
import type { Value } from '../graph/graph.ts';
import { filled, type Initializer, unitUniform } from './initialize.ts';
import type { Network } from './network.ts';

/** A convolution with binary weights under construction. */
export interface BinaryConvParts {
  readonly x: Value;
  /** f32[to, from, kernel, kernel]. */
  readonly weight: Value;
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly window: Attributes;
}

/** f32[N, from, H, W] -> f32[N, to, H', W']. */
export function convolveBinary(net: Network, parts: BinaryConvParts): Value {
  const values = net.binaryValues ?? 'mean';
  if (values === 'adabin') return adabinConv(net, parts);
  const sum = signConv(net, parts, parts.x, parts.weight);
  return values === 'mean' ? scaledByMean(net, parts, sum) : scaledByChannel(net, parts, sum);
}

function signConv(net: Network, { name, window }: BinaryConvParts, data: Value, weight: Value): Value {
  const signs = dataSigns(net, name, data);
  return net.builder.op('Conv', [signs, net.builder.op('bnn.Sign', [weight], {}, `${name}.weight_sign`)], window, name);
}

function dataSigns({ builder, precision }: Network, name: string, data: Value): Value {
  return precision === '1w1a' ? builder.op('bnn.Sign', [data], {}, `${name}.input_sign`) : data;
}

/** The scale comes first: onnxruntime folds a constant second factor into the weights before it, and sums of ±α round. */
function scaledByMean({ builder }: Network, { name, weight }: BinaryConvParts, sum: Value): Value {
  const magnitude = builder.op('Abs', [weight], {}, `${name}.weight_abs`);
  const scale = builder.op('ReduceMean', [magnitude], { keepdims: int(0) }, `${name}.scale`);
  return builder.op('Mul', [scale, sum], {}, `${name}.scaled`);
}

function scaledByChannel({ builder, seed }: Network, { name, to }: BinaryConvParts, sum: Value): Value {
  const alpha = constantOf(builder, seed, `${name}.alpha`, [to, 1, 1], unitUniform);
  return builder.op('Mul', [alpha, sum], {}, `${name}.scaled`);
}

function constantOf(builder: Network['builder'], seed: number, name: string, shape: number[], initialize: Initializer) {
  return builder.constant(name, initialize(seed, name, shape));
}

function adabinConv(net: Network, parts: BinaryConvParts): Value {
  const { builder, precision } = net;
  const { name, weight, from, kernel, window } = parts;
  const filter = { axes: ints([1, 2, 3]) };
  const mean = builder.op('ReduceMean', [weight], filter, `${name}.mean`);
  const centred = builder.op('Sub', [weight, mean], {}, `${name}.centred`);
  const square = builder.op('Mul', [centred, centred], {}, `${name}.square`);
  const variance = builder.op('ReduceMean', [square], filter, `${name}.variance`);
  const deviation = builder.op('Sqrt', [variance], {}, `${name}.deviation`);
  const unit = builder.op('Div', [centred, deviation], {}, `${name}.unit`);

  const isBinary = precision === '1w1a';
  const alpha = isBinary ? builder.constant(`${name}.activation.alpha`, filled([1, 1, 1], 1)) : null;
  const data = alpha === null ? parts.x : standardized(net, parts, alpha);
  const sum = signConv(net, parts, data, unit);
  const signs = sum.producer?.requiredInput(0) ?? data;
  const ones = builder.constant(`${name}.ones`, filled([1, from, kernel, kernel], 1));
  const total = builder.op('Conv', [signs, ones], window, `${name}.total`);

  const perChannel = (value: Value, what: string): Value => {
    const shape = builder.constant(`${name}.${what}_shape`, int64s([-1, 1, 1]));
    const vector = builder.op('Reshape', [value, shape], {}, `${name}.${what}_vector`);
    return alpha === null ? vector : builder.op('Mul', [alpha, vector], {}, `${name}.${what}_scale`);
  };
  const spread = builder.op('Mul', [perChannel(deviation, 'deviation'), sum], {}, `${name}.scaled`);
  const centre = builder.op('Mul', [perChannel(mean, 'mean'), total], {}, `${name}.total_scaled`);
  return builder.op('Add', [spread, centre], {}, `${name}.sum`);
}

/** (x + shift)/α. */
function standardized({ builder }: Network, { x, name }: BinaryConvParts, alpha: Value): Value {
  const shift = builder.constant(`${name}.activation.shift`, filled([1, 1, 1], 0));
  const moved = builder.op('Add', [x, shift], {}, `${name}.moved`);
  return builder.op('Div', [moved, alpha], {}, `${name}.standardized`);
}
