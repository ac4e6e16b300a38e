/** Small models, built by hand, that use every feature of the format which this project writes. */

import { float32, int64s, scalar } from '../../src/core/tensors/tensor.ts';
import { float, int, ints, reference } from '../../src/graph/attribute.ts';
import { Graph } from '../../src/graph/graph.ts';
import { type GraphFunction, Model } from '../../src/graph/model.ts';

export const CONV_INPUT = Float32Array.from({ length: 16 }, (_, i) => Math.fround(Math.sin(i)));
export const CONV_WEIGHT = Float32Array.from({ length: 18 }, (_, i) => Math.fround(Math.cos(3 * i)));
export const CONV_BIAS = Float32Array.of(0.25, -0.5);

/** y = Relu(Conv(x, W, b)): x f32[1,1,4,4], W f32[2,1,3,3], pads 1. */
export function convModel(): Model {
  const graph = new Graph('conv');
  const x = graph.addInput('x', { dtype: 'float32', shape: [1, 1, 4, 4] });
  const w = graph.addConstant('W', float32([2, 1, 3, 3], CONV_WEIGHT));
  const b = graph.addConstant('b', float32([2], CONV_BIAS));
  const attributes = { pads: ints([1, 1, 1, 1]), kernel_shape: ints([3, 3]), group: int(1) };
  const conv = graph.addNode('Conv', [x, w, b], { name: 'conv1', attributes, outputs: ['conv'] }).output;
  conv.dtype = 'float32';
  conv.shape = [1, 2, 4, 4];
  const y = graph.addNode('Relu', [conv], { outputs: ['y'] }).output;
  y.dtype = 'float32';
  y.shape = ['N', 2, null, 4];
  graph.addOutput(y);
  const model = new Model(graph);
  model.metadata.set('purpose', 'test');
  model.docString = 'a convolution';
  model.producerVersion = '1.2.3';
  return model;
}

function signFunction(): GraphFunction {
  const body = new Graph('Sign');
  const x = body.addInput('x', { dtype: null, shape: null });
  const zero = body.addConstant('zero', scalar(0));
  const plus = body.addConstant('plus', scalar(1));
  const minus = body.addConstant('minus', scalar(-1));
  const positive = body.addNode('GreaterOrEqual', [x, zero], { outputs: ['positive'] }).output;
  body.addOutput(body.addNode('Where', [positive, plus, minus], { outputs: ['y'] }).output);
  return { domain: 'bnn', name: 'Sign', body, attributes: [], opsets: new Map([['', 17]]) };
}

/** alpha · bnn.Sign(x), summed over `axes`: one reference to a number, one to a list. */
function scaledSignFunction(): GraphFunction {
  const body = new Graph('ScaledSign');
  const x = body.addInput('x', { dtype: null, shape: null });
  const sign = body.addNode('Sign', [x], { domain: 'bnn', outputs: ['sign'] }).output;
  const alpha = body.addNode('Constant', [], {
    outputs: ['alpha'],
    attributes: { value_float: reference('alpha', 'float') },
  }).output;
  const axes = body.addNode('Constant', [], {
    outputs: ['axes'],
    attributes: { value_ints: reference('axes', 'ints') },
  }).output;
  const scaled = body.addNode('Mul', [sign, alpha], { outputs: ['scaled'] }).output;
  const attributes = { keepdims: int(0) };
  body.addOutput(body.addNode('ReduceSum', [scaled, axes], { outputs: ['y'], attributes }).output);
  const opsets = new Map([
    ['', 17],
    ['bnn', 1],
  ]);
  return { domain: 'bnn', name: 'ScaledSign', body, attributes: ['alpha', 'axes'], opsets };
}

/** y = Reshape(bnn.ScaledSign(x; alpha = 0.5, axes = [1]), [-1]): x f32[N,3]. */
export function functionModel(): Model {
  const graph = new Graph('functions');
  const x = graph.addInput('x', { dtype: 'float32', shape: ['N', 3] });
  const shape = graph.addConstant('flat', int64s([-1]));
  const attributes = { alpha: float(0.5), axes: ints([1]) };
  const scaled = graph.addNode('ScaledSign', [x], { domain: 'bnn', attributes, outputs: ['scaled'] }).output;
  const y = graph.addNode('Reshape', [scaled, shape], { outputs: ['y'] }).output;
  y.dtype = 'float32';
  y.shape = ['N'];
  graph.addOutput(y);
  const model = new Model(graph);
  model.opsets.set('bnn', 1);
  model.functions.push(signFunction(), scaledSignFunction());
  return model;
}
