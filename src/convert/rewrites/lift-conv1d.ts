/**
 * Convolutions of one spatial dimension (sound, ECG) become convolutions of pictures of height 1, the only ones that are packed. What
 * follows is computed on such pictures too, so that the two changes of shape between neighbouring layers meet and cancel.
 *
 *     before   Conv(x, W)        x[N, C, L], W[O, C, K]
 *     after    Squeeze(Conv(Unsqueeze(x), Unsqueeze(W)))        x[N, C, 1, L], W[O, C, 1, K]
 */

import { int64s } from '../../core/tensor.ts';
import { type Attributes, ints } from '../../graph/attribute.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { addOp, numbersOf } from '../../rewriting/add-op.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { binaryWeightsOf } from '../../rewriting/layers/binary-weights.ts';
import { isMiss, type Miss, miss } from '../../rewriting/miss.ts';
import { defineRewrite } from '../../rewriting/rewrite.ts';
import { BROADCASTING, UNARY } from '../elementwise.ts';

/** Where the height stands. */
const HEIGHT = 2;

const WINDOWS = ['MaxPool', 'AveragePool'];
const AS_THEY_ARE = ['BatchNormalization', 'GlobalAveragePool', 'GlobalMaxPool'];

/** Of a window along one dimension, for one of height 1. */
function liftedAttributes(node: Node): Attributes {
  const lifted: Record<string, Attributes[string]> = { ...node.attributes };
  for (const name of ['kernel_shape', 'strides', 'dilations']) {
    const found = node.attribute(name, 'ints');
    if (found !== undefined) lifted[name] = ints([1, ...found]);
  }
  const pads = node.attribute('pads', 'ints');
  if (pads !== undefined) lifted['pads'] = ints([0, pads[0] ?? 0, 0, pads[1] ?? 0]);
  return lifted;
}

function withHeight(value: Value, before: Node, { graph }: RewriteContext): Value {
  return addOp(graph, 'Unsqueeze', [value, graph.addConstant(`${value.name}.axis`, int64s([HEIGHT]))], before);
}

function withoutHeight(value: Value, before: Node, { graph }: RewriteContext): Value {
  return addOp(graph, 'Squeeze', [value, graph.addConstant(`${value.name}.axis`, int64s([HEIGHT]))], before);
}

/** The picture of height 1 behind a value of rank 3. */
function pictureOf(value: Value | null): Value | null {
  const node = value?.producer ?? null;
  if (node?.is('Squeeze') !== true) return null;
  const axes = numbersOf(node.input(1));
  return axes?.length === 1 && axes[0] === HEIGHT ? node.requiredInput(0) : null;
}

export const LIFT_CONV1D = defineRewrite({
  name: 'lift-conv1d',
  doc: {
    before: 'Conv(x[N, C, L], W[O, C, K])',
    after: 'Squeeze(Conv(Unsqueeze(x), Unsqueeze(W)))',
    requires: 'binary W',
    exactness: 'bit-exact',
  },
  tell: (count) =>
    `${count === 1 ? '1 convolution of one dimension is' : `${count} convolutions of one dimension are`} computed on pictures of height 1, exactly`,
  roots: ['Conv'],
  match: (root, context) => {
    const w = root.requiredInput(1);
    if (w.shape?.length !== 3) return miss(root, 'it has not one spatial dimension');
    const found = binaryWeightsOf(w, root, true, false, context);
    return isMiss(found) ? found : { w };
  },
  apply: (root, { w }, context) => {
    const inputs = [withHeight(root.requiredInput(0), root, context), withHeight(w, root, context)];
    const y = addOp(context.graph, 'Conv', [...inputs, ...root.inputs.slice(2)], root, {
      attributes: liftedAttributes(root),
      name: root.name,
    });
    context.layers.move(root, y.producer);
    return withoutHeight(y, root, context);
  },
});

/** Inputs for the same operator on pictures; constants that were broadcast get their height. */
function lifted(root: Node, context: RewriteContext): { readonly inputs: readonly (Value | null)[] } | Miss {
  const [data = null, ...rest] = root.inputs;
  if (root.outputs.length > 1) return miss(root, 'it has a second output');
  if (!BROADCASTING.includes(root.type)) {
    const picture = pictureOf(data);
    return picture === null ? miss(root, 'its data have no height') : { inputs: [picture, ...rest] };
  }
  const inputs = root.inputs.map((value) => {
    const isConstant = value !== null && value.shape !== null && context.isConstantExpression(value);
    return isConstant && (value.shape?.length ?? 4) <= 3 ? value : pictureOf(value);
  });
  if (inputs.includes(null)) return miss(root, 'one of its operands has no height');
  if (!inputs.some((value, i) => value !== root.input(i))) return miss(root, 'it is constant');
  return { inputs };
}

/** [C, L] against [N, C, L] is [C, 1, L] against [N, C, 1, L]; single numbers and [L] stay. */
function raised(value: Value, before: Node, { graph }: RewriteContext): Value {
  const rank = value.shape?.length ?? 0;
  if (rank < 2) return value;
  return addOp(graph, 'Unsqueeze', [value, graph.addConstant(`${value.name}.axis`, int64s([rank - 1]))], before);
}

export const SINK_SQUEEZE = defineRewrite({
  name: 'sink-squeeze',
  doc: {
    before: 'f(Squeeze(x), c), f element-wise, BatchNormalization or a pooling; Unsqueeze(Squeeze(x))',
    after: "Squeeze(f'(x, c')); x",
    requires: 'the height of 1 that lift-conv1d adds; all operands have it or are constant',
    exactness: 'bit-exact',
  },
  roots: [...UNARY, ...BROADCASTING, ...WINDOWS, ...AS_THEY_ARE, 'Unsqueeze'],
  match: (root, context) => {
    if (root.is('Unsqueeze')) {
      const axes = numbersOf(root.input(1));
      if (axes?.length !== 1 || axes[0] !== HEIGHT) return miss(root, 'it adds another dimension');
      const picture = pictureOf(root.input(0));
      return picture === null ? miss(root, 'its data have no height') : { inputs: [picture] };
    }
    return lifted(root, context);
  },
  apply: (root, { inputs }, context) => {
    const [first = null] = inputs;
    if (root.is('Unsqueeze') && first !== null) return first;
    const isBroadcast = BROADCASTING.includes(root.type);
    const ready = inputs.map((value, i) =>
      isBroadcast && value !== null && value === root.input(i) ? raised(value, root, context) : value,
    );
    const attributes = WINDOWS.includes(root.op) ? liftedAttributes(root) : root.attributes;
    return withoutHeight(addOp(context.graph, root.type, ready, root, { attributes, name: root.name }), root, context);
  },
});
