/** The trainable tensors and running statistics of a program: which constants of the graph they are, and how they lie. */

import * as tf from '@tensorflow/tfjs-core';
import { elementCount } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Layout } from './steps/step.ts';

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
function weightSource(value: Value): { constant: Value; binary: boolean } | null {
  if (value.constant !== null) return { constant: value, binary: false };
  const { producer } = value;
  if (producer === null || !producer.is('Sign', 'bnn')) return null;
  const input = producer.requiredInput(0);
  return input.constant === null ? null : { constant: input, binary: true };
}

/** A constant of [C, 1, 1]: one number for each channel of an image. */
function isPerChannel({ constant }: Value): boolean {
  const [, height, width] = constant?.shape ?? [];
  return constant?.dtype === 'float32' && constant.shape.length === 3 && height === 1 && width === 1;
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
    if (source !== null) {
      yield { value: source.constant, role: source.binary ? 'binary-weight' : 'weight', layout, outputAxis };
    }
    const bias = node.input(2);
    if (bias !== null && bias.constant !== null) yield { value: bias, role: 'bias', layout: 'plain', outputAxis: 0 };
  } else if (node.op === 'Add' || node.op === 'PRelu') {
    for (const value of node.inputs) {
      const role = node.op === 'Add' ? 'bias' : 'norm';
      if (value !== null && isPerChannel(value)) yield { value, role, layout: 'channel', outputAxis: 0 };
    }
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
        throw new BnnError('E_UNSUPPORTED', `"${value.name}" is used as ${before.role} and as ${role}`, {
          at: node.describe(),
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
      found.set(value, { name: value.name, role, layout, shape: constant.shape, outputAxis });
    }
  }
  return found;
}

/** OIHW → HWIO as a permutation, and back. */
const TO_HWIO = [2, 3, 1, 0];
const TO_OIHW = [3, 2, 0, 1];
/** NCHW → NHWC. */
const TO_NHWC = [0, 2, 3, 1];

/** Copies a constant to the backend, in the layout of the program. */
export function upload(constant: Tensor, layout: Layout): tf.Tensor {
  return tf.tidy(() => {
    const copy = tf.tensor(Float32Array.from(constant.data as Float32Array), [...constant.shape], 'float32');
    if (layout === 'hwio') return tf.transpose(copy, TO_HWIO);
    if (layout === 'channel') return tf.reshape(copy, [-1]);
    return layout === 'nhwc' ? tf.transpose(copy, TO_NHWC) : copy;
  });
}

/** Copies a tensor of the program back, in the order of the graph. */
export async function download(t: tf.Tensor, info: ParameterInfo): Promise<Tensor<'float32'>> {
  const ordered = info.layout === 'hwio' ? tf.transpose(t, TO_OIHW) : tf.clone(t);
  const data = (await ordered.data()) as Float32Array;
  ordered.dispose();
  if (data.length !== elementCount(info.shape)) throw new Error(`internal: ${info.name} has ${data.length} elements`);
  return tensor('float32', info.shape, Float32Array.from(data));
}
