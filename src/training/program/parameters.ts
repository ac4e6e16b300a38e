/** The trainable tensors and running statistics of a program: which constants of the graph they are, and how they lie. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../../core/tensors/shape.ts';
import { type Tensor, tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import { fromGraph, layoutOfRank, toGraph } from '../steps/layout.ts';
import type { Layout } from '../steps/step.ts';

/** What a parameter is for; decides weight decay and clamping. `buffer`: running statistics, moved but not trained. */
export type ParameterRole = 'binary-weight' | 'weight' | 'bias' | 'norm' | 'buffer';

export interface ParameterInfo {
  readonly name: string;
  readonly role: ParameterRole;
  readonly layout: Layout;
  /** In the graph's order. */
  readonly shape: readonly number[];
  /** The dimension that counts filters or units, in the layout of the program. */
  readonly outputAxis: number;
}

/** What owns parameters by name: a program, or a layer over it that keeps other tensors than those that the network computes with. */
export interface ParameterStore {
  readonly parameters: ReadonlyMap<string, ParameterInfo>;
  /** The current tensor; stays the store's. */
  parameter(name: string): tf.Tensor;
  /** Replaces a tensor; the store owns it afterwards. */
  setParameter(name: string, value: tf.Tensor): void;
}

/** A layer by its weight: `layer1.0.conv1.weight` → `layer1.0.conv1`. */
export function layerOf(weight: string): string {
  return weight.replace(/\.weight$/, '');
}

/** The constant that a weight input comes from, directly or through bnn.Sign. */
export function weightSource(value: Value): { constant: Value; binary: boolean } | null {
  if (value.constant !== null) return { constant: value, binary: false };
  const { producer } = value;
  if (producer === null || !producer.is('Sign', 'bnn')) return null;
  const latent = latentOf(producer.requiredInput(0));
  return latent === null ? null : { constant: latent, binary: true };
}

/** The latent weight: the value itself, or the one constant of two dimensions or more that it is computed from; null of what else there is. */
export function latentOf(value: Value): Value | null {
  if (value.constant !== null) return value;
  const found = new Set<Value>();
  const pending = [value];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (at.constant === null && at.producer === null) return null;
    if (at.constant?.dtype === 'float32' && at.constant.shape.length > 1) found.add(at);
    for (const input of at.producer?.inputs ?? []) if (input !== null) pending.push(input);
  }
  const [latent] = found;
  return found.size === 1 && latent !== undefined ? latent : null;
}

/** Whether the weight of a Conv is one filter of ones, which sums windows up: there is nothing to learn. */
function sumsWindows(node: Node, { constant }: Value): boolean {
  if (!node.is('Conv') || constant === null || constant.shape[0] !== 1 || node.int('group', 1) !== 1) return false;
  const data: ArrayLike<number | bigint> = constant.data;
  return constant.shape.length === 4 && Array.prototype.every.call(data, (w) => w === 1);
}

/** How a constant lies that is no parameter: one that is a filter lies as filters do. */
export function layoutOfConstant({ constant, uses }: Value): Layout {
  if (constant?.shape.length !== 4) return 'plain';
  return uses.some(({ node, index }) => index === 1 && node.is('Conv')) ? 'hwio' : 'nhwc';
}

/** A learned factor of each channel is told from a constant one by its name, that of PyTorch's modules of ReCU and BiPer. */
function isLearnedFactor({ name, constant }: Value): boolean {
  const [, ...rest] = constant?.shape ?? [];
  return /\.alpha$/.test(name) && constant?.dtype === 'float32' && rest.join() === '1,1';
}

/**
 * How a constant lies that holds one number for each channel of the result of `node`: [C, 1, 1] or [1, C, 1, 1] for pictures, [C]
 * for rows; null when it is something else.
 */
function perChannelLayout({ constant }: Value, node: Node): Layout | null {
  if (constant?.dtype !== 'float32') return null;
  const { shape } = constant;
  if (shape.length === 3 && shape[1] === 1 && shape[2] === 1) return 'channel';
  if (shape.length === 4 && shape.every((size, axis) => axis === 1 || size === 1)) return 'nhwc';
  const rank = node.output.shape?.length;
  return shape.length === 1 && shape[0] !== 1 && (rank === 2 || rank === 3) ? 'plain' : null;
}

/** The roles that a node gives to its constant inputs. */
function* rolesOf(node: Node): Generator<Omit<ParameterInfo, 'name' | 'shape'> & { readonly value: Value }> {
  if (node.domain !== '') return;
  if (node.op === 'BatchNormalization') {
    for (const index of [1, 2, 3, 4]) {
      const role = index < 3 ? 'norm' : 'buffer';
      yield { value: node.requiredInput(index), role, layout: 'plain', outputAxis: 0 };
    }
  } else if (node.op === 'Conv' || node.op === 'Gemm' || node.op === 'MatMul') {
    const source = weightSource(node.requiredInput(1));
    const layout = node.op === 'Conv' ? 'hwio' : 'plain';
    const outputAxis = node.op === 'Conv' ? 3 : node.op === 'Gemm' && node.int('transB', 0) !== 0 ? 0 : 1;
    if (source !== null && !sumsWindows(node, source.constant)) {
      yield { value: source.constant, role: source.binary ? 'binary-weight' : 'weight', layout, outputAxis };
    }
    const bias = node.input(2);
    if (bias !== null && bias.constant !== null) yield { value: bias, role: 'bias', layout: 'plain', outputAxis: 0 };
  } else if (node.op === 'Add') {
    for (const value of node.inputs) {
      const layout = value === null ? null : perChannelLayout(value, node);
      if (value === null || layout === null) continue;
      yield { value, role: 'bias', layout, outputAxis: layout === 'nhwc' ? 3 : 0 };
    }
  } else if (node.op === 'Mul' || node.op === 'Div') {
    for (const value of node.inputs) {
      if (value !== null && isLearnedFactor(value)) yield { value, role: 'norm', layout: 'channel', outputAxis: 0 };
    }
  } else if (node.op === 'PRelu') {
    const value = node.requiredInput(1);
    const rank = value.constant?.shape.length;
    const layout = perChannelLayout(value, node) ?? (rank === undefined ? 'plain' : layoutOfRank(rank));
    if (value.constant !== null) yield { value, role: 'norm', layout, outputAxis: layout === 'nhwc' ? 3 : 0 };
  }
}

/**
 * Finds the parameters of a latent graph, in the order in which nodes use them.
 *
 * @throws {BnnError} E_UNSUPPORTED when one tensor is used in two incompatible roles or is not float32.
 */
export function findParameters(graph: Graph): Map<Value, ParameterInfo> {
  const found = new Map<Value, ParameterInfo>();
  for (const node of graph.nodes()) {
    for (const { value, role, layout, outputAxis } of rolesOf(node)) {
      const before = found.get(value);
      if (before !== undefined && (before.role !== role || before.layout !== layout)) {
        const [first, second] = before.role === role ? [before.layout, layout] : [before.role, role];
        throw new BnnError('E_UNSUPPORTED', `"${value.name}" is used as ${first} and as ${second}`, {
          at: node.describe(),
          hint: 'one parameter has one role; give one of the layers a copy of its own',
        });
      }
      const { constant } = value;
      if (constant === null) {
        throw new BnnError('E_UNSUPPORTED', `"${value.name}" must be a constant`, { at: node.describe() });
      }
      if (constant.dtype !== 'float32') {
        throw new BnnError('E_UNSUPPORTED', `"${value.name}" is ${constant.dtype}, training needs float32`, {
          at: node.describe(),
        });
      }
      if (before === undefined) found.set(value, { name: value.name, role, layout, shape: constant.shape, outputAxis });
    }
  }
  return found;
}

/** Copies a constant to the backend, in the layout of the program. */
export function upload(constant: Tensor, layout: Layout): tf.Tensor {
  return tf.tidy(() => {
    const copy = tf.tensor(Float32Array.from(constant.data as Float32Array), [...constant.shape], 'float32');
    return fromGraph(copy, layout);
  });
}

/** Copies a tensor of the program back, in the order of the graph. */
export async function download(t: tf.Tensor, info: ParameterInfo): Promise<Tensor<'float32'>> {
  const ordered = toGraph(t, info.layout);
  const data = (await ordered.data()) as Float32Array;
  ordered.dispose();
  if (data.length !== elementCount(info.shape)) throw new Error(`internal: ${info.name} has ${data.length} elements`);
  return tensor('float32', info.shape, Float32Array.from(data));
}
