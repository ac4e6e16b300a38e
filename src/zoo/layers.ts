/** The layers that the networks are made of. Weight names are those of PyTorch's state_dict, so that foreign checkpoints fit. */

import { int64s, scalar } from '../core/tensors/tensor.ts';
import { type Attributes, float, int, ints, string } from '../graph/attribute.ts';
import type { Value } from '../graph/graph.ts';
import { convolveBinary } from './binary-values.ts';
import { fanInUniform, filled, heNormal, type Initializer, uniform } from './initialize.ts';
import type { Network } from './network.ts';

export interface ConvOptions {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride?: number;
  /** Zeros on each side; by default such that stride 1 keeps the size. */
  readonly pad?: number;
  readonly initialize?: Initializer;
}

/** f32[N, from, H, W] -> f32[N, to, H', W'], float weights, no bias. */
export function conv(net: Network, x: Value, name: string, options: ConvOptions): Value {
  return net.builder.op('Conv', [x, convWeight(net, name, options)], windowAttributes(options), name);
}

/**
 * A convolution whose operands are binarized as the network's precision says, with the values of `binaryValues`. Scales come after the
 * convolution: its accumulators stay integers, so that a sum of 0 is exactly 0.
 */
export function binaryConv(net: Network, x: Value, name: string, options: ConvOptions): Value {
  if (net.precision === 'fp') return conv(net, x, name, options);
  const weight = convWeight(net, name, options);
  return convolveBinary(net, { ...options, x, weight, name, window: windowAttributes(options) });
}

function convWeight(net: Network, name: string, options: ConvOptions): Value {
  const { from, to, kernel, initialize = heNormal } = options;
  const weight = `${name}.weight`;
  return net.builder.constant(weight, initialize(net.seed, weight, [to, from, kernel, kernel]));
}

function windowAttributes({ kernel, stride = 1, pad = (kernel - 1) / 2 }: ConvOptions): Attributes {
  return { kernel_shape: ints([kernel, kernel]), strides: ints([stride, stride]), pads: ints([pad, pad, pad, pad]) };
}

/** Batch normalization over every dimension but the second: f32[N, C, ...]. ONNX's momentum 0.9 is PyTorch's 0.1. */
export function batchNorm(net: Network, x: Value, name: string, channels: number): Value {
  const { builder } = net;
  const parameters = [
    builder.constant(`${name}.weight`, filled([channels], 1)),
    builder.constant(`${name}.bias`, filled([channels], 0)),
    builder.constant(`${name}.running_mean`, filled([channels], 0)),
    builder.constant(`${name}.running_var`, filled([channels], 1)),
  ];
  return builder.op('BatchNormalization', [x, ...parameters], { epsilon: float(1e-5), momentum: float(0.9) }, name);
}

export function relu(net: Network, x: Value, name: string): Value {
  return net.builder.op('Relu', [x], {}, name);
}

/** clip(x, −1, 1). */
export function hardtanh(net: Network, x: Value, name: string): Value {
  const limits = [-1, 1].map((limit, i) => net.builder.constant(`${name}.${i === 0 ? 'min' : 'max'}`, scalar(limit)));
  return net.builder.op('Clip', [x, ...limits], {}, name);
}

export function add(net: Network, a: Value, b: Value, name: string): Value {
  return net.builder.op('Add', [a, b], {}, name);
}

/** Adds a learned number to each channel, 0 at first: f32[N, C, H, W]. */
export function channelShift(net: Network, x: Value, name: string, channels: number): Value {
  return net.builder.op('Add', [x, net.builder.constant(`${name}.bias`, filled([channels, 1, 1], 0))], {}, name);
}

/**
 * RPReLU of Liu et al., "ReActNet", ECCV 2020, arXiv:2003.03488: PReLU between two learned shifts, all per channel; the slope is ¼
 * at first.
 */
export function rPrelu(net: Network, x: Value, name: string, channels: number): Value {
  const { builder } = net;
  const moved = channelShift(net, x, `${name}.move0`, channels);
  const slope = builder.constant(`${name}.prelu.weight`, filled([channels, 1, 1], 0.25));
  const bent = builder.op('PRelu', [moved, slope], {}, `${name}.prelu`);
  return channelShift(net, bent, `${name}.move1`, channels);
}

export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  readonly pad?: number;
}

export function pool(
  net: Network,
  type: 'MaxPool' | 'AveragePool',
  x: Value,
  name: string,
  options: PoolOptions,
): Value {
  return net.builder.op(type, [x], windowAttributes({ from: 0, to: 0, pad: 0, ...options }), name);
}

/** Averages over windows of 2×2 pixels, of what is left at the edges of odd sizes: f32[N, C, H, W] -> f32[N, C, ⌈H/2⌉, ⌈W/2⌉]. */
export function averagePairs(net: Network, x: Value, name: string): Value {
  const window = { kernel_shape: ints([2, 2]), strides: ints([2, 2]), auto_pad: string('SAME_UPPER') };
  return net.builder.op('AveragePool', [x], window, name);
}

/** f32[N, C, H, W] -> f32[N, C]. */
export function globalAverage(net: Network, x: Value): Value {
  return flatten(net, net.builder.op('GlobalAveragePool', [x], {}, 'avgpool'));
}

/** f32[N, C, H, W] -> f32[N, C·H·W]. */
export function flatten(net: Network, x: Value): Value {
  return net.builder.op('Flatten', [x], { axis: int(1) }, 'flatten');
}

/**
 * The parameter-free shortcut ("option A") of He et al. 2015, arXiv:1512.03385: every second pixel, and zero channels, half of them
 * before and half after the old ones. A 1×1 average pool with stride 2 takes every second pixel exactly.
 *
 * f32[N, from, H, W] -> f32[N, to, ⌈H/stride⌉, ⌈W/stride⌉]
 */
export function padShortcut(net: Network, x: Value, name: string, from: number, to: number, stride: number): Value {
  const pixels = stride === 1 ? x : pool(net, 'AveragePool', x, `${name}.pool`, { kernel: 1, stride });
  return padChannels(net, pixels, name, from, to);
}

/** Adds zero channels, ⌊half⌋ of them before the old ones. */
export function padChannels(net: Network, x: Value, name: string, from: number, to: number): Value {
  if (from === to) return x;
  const before = Math.floor((to - from) / 2);
  const pads = net.builder.constant(`${name}.pads`, int64s([0, before, 0, 0, 0, to - from - before, 0, 0]));
  return net.builder.op('Pad', [x, pads, net.builder.constant(`${name}.zero`, scalar(0))], {}, `${name}.pad`);
}

/** The classifier: f32[N, from] -> f32[N, classes], which becomes the network's output "logits". */
export function classifier(
  net: Network,
  x: Value,
  name: string,
  from: number,
  options: { readonly initialize?: Initializer; readonly zeroBias?: boolean } = {},
): void {
  const { builder, seed, classes } = net;
  const { initialize = fanInUniform, zeroBias = false } = options;
  const weight = builder.constant(`${name}.weight`, initialize(seed, `${name}.weight`, [classes, from]));
  const bound = zeroBias ? 0 : 1 / Math.sqrt(from);
  const bias = builder.constant(`${name}.bias`, uniform(seed, `${name}.bias`, [classes], bound));
  const logits = builder.op('Gemm', [x, weight, bias], { transB: int(1) }, name, 'logits');
  builder.output(logits, 'float32', ['N', classes]);
}
