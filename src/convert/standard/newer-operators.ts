/** Operators that came after operator set 17, written in those of set 17; and for those that are not, what to do. */

import { float32, scalar, type Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { type Attributes, int, ints } from '../../graph/attribute.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';

/** Builds what computes the first output, in front of the node. */
type Lowering = (node: Node, graph: Graph) => Value;

class Writer {
  readonly #node: Node;
  readonly #graph: Graph;

  constructor(node: Node, graph: Graph) {
    this.#node = node;
    this.#graph = graph;
  }

  op(type: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): Value {
    return this.#graph.addNode(type, inputs, { attributes, before: this.#node }).output;
  }

  constant(data: Tensor | number): Value {
    const tensor = typeof data === 'number' ? scalar(data) : data;
    return this.#graph.addConstant(`${this.#node.output.name}.c`, tensor);
  }
}

/** x / √(mean x² + ε) · scale, over the axes from `axis` on. */
const rmsNormalization: Lowering = (node, graph) => {
  const { op, constant } = writerOf(node, graph);
  const [x, scale] = [node.requiredInput(0), node.requiredInput(1)];
  const axis = node.int('axis', -1);
  const rank = x.shape?.length;
  if (rank === undefined && axis !== -1) throw unsupported(node, 'the rank of its data is unknown');
  const first = axis < 0 ? axis + (rank ?? 1) : axis;
  const axes = rank === undefined ? [-1] : Array.from({ length: rank - first }, (_, i) => first + i);
  const mean = op('ReduceMean', [op('Mul', [x, x])], { axes: ints(axes), keepdims: int(1) });
  const root = op('Sqrt', [op('Add', [mean, constant(node.float('epsilon', 1e-5))])]);
  return op('Mul', [op('Div', [x, root]), scale]);
};

/** x · sigmoid(α x). */
const swish: Lowering = (node, graph) => {
  const { op, constant } = writerOf(node, graph);
  const x = node.requiredInput(0);
  const alpha = node.float('alpha', 1);
  return op('Mul', [x, op('Sigmoid', [alpha === 1 ? x : op('Mul', [x, constant(alpha)])])]);
};

/** softmax(s · Q Kᵀ + mask) V, for [batch, heads, length, size]; with `is_causal`, position i sees the positions up to i. */
const attention: Lowering = (node, graph) => {
  const { op, constant } = writerOf(node, graph);
  const [q, k, v] = [node.requiredInput(0), node.requiredInput(1), node.requiredInput(2)];
  for (const [i, name] of ['past_key', 'past_value', 'nonpad_kv_seqlen'].entries()) {
    if (node.input(4 + i) !== null) throw unsupported(node, `it has ${name}`);
  }
  if (node.outputs.slice(1).some(({ uses }) => uses.length > 0))
    throw unsupported(node, 'its further outputs are read');
  if ([q, k, v].some(({ shape }) => shape?.length !== 4))
    throw unsupported(node, 'its operands are not of four dimensions');
  if (q.shape?.[1] !== k.shape?.[1] || q.shape?.[1] === null)
    throw unsupported(node, 'its heads share keys, or are unknown');
  const size = q.shape?.[3];
  const scale = node.attribute('scale', 'float') ?? (typeof size === 'number' ? 1 / Math.sqrt(size) : null);
  if (scale === null) throw unsupported(node, 'the size of its heads is unknown');
  // As the standard has it, both factors get the root of the scale.
  const root = constant(Math.sqrt(scale));
  const keys = op('Transpose', [op('Mul', [k, root])], { perm: ints([0, 1, 3, 2]) });
  let scores = op('MatMul', [op('Mul', [q, root]), keys]);
  const mask = node.input(3);
  if (mask?.dtype === 'bool') {
    scores = op('Add', [scores, op('Where', [mask, constant(0), constant(-Infinity)])]);
  } else if (mask !== null) scores = op('Add', [scores, mask]);
  if (node.int('is_causal', 0) === 1) {
    const [rows, columns] = [q.shape?.[2], k.shape?.[2]];
    if (typeof rows !== 'number' || typeof columns !== 'number')
      throw unsupported(node, 'it is causal, of unknown lengths');
    const hidden = Array.from({ length: rows * columns }, (_, i) =>
      i % columns > Math.floor(i / columns) ? -Infinity : 0,
    );
    scores = op('Add', [scores, constant(float32([rows, columns], hidden))]);
  }
  const cap = node.float('softcap', 0);
  if (cap > 0) scores = op('Mul', [op('Tanh', [op('Div', [scores, constant(cap)])]), constant(cap)]);
  return op('MatMul', [op('Softmax', [scores], { axis: int(-1) }), v]);
};

function writerOf(node: Node, graph: Graph): { readonly op: Writer['op']; readonly constant: Writer['constant'] } {
  const writer = new Writer(node, graph);
  return { op: writer.op.bind(writer), constant: writer.constant.bind(writer) };
}

const LOWERINGS: ReadonlyMap<string, Lowering> = new Map([
  ['Attention', attention],
  ['RMSNormalization', rmsNormalization],
  ['Swish', swish],
]);

const BITS = 'on data that are computed, write it with BitShift, Mod and arithmetic, which set 17 has';
const IN_FRONT = 'compute it before the model, or write it in operators of set 17 in the code that is exported';

/** The set that brought an operator, and what to do without it. */
const NEWER: ReadonlyMap<string, readonly [since: number, hint: string]> = new Map([
  ...['BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitwiseNot'].map((op): [string, readonly [number, string]] => [
    op,
    [18, BITS],
  ]),
  ['CenterCropPad', [18, 'write it as Slice and Pad']],
  ['Col2Im', [18, IN_FRONT]],
  ['DeformConv', [19, IN_FRONT]],
  ['AffineGrid', [20, IN_FRONT]],
  ['ImageDecoder', [20, 'give the model from behind it: pictures are decoded before the model']],
  ['RegexFullMatch', [20, IN_FRONT]],
  ['StringConcat', [20, IN_FRONT]],
  ['StringSplit', [20, IN_FRONT]],
  ['Attention', [23, 'write it as MatMul, Softmax and MatMul, as scaled_dot_product_attention computes it']],
  ['RMSNormalization', [23, 'write it as x / sqrt(mean(x * x) + eps) * scale']],
  ['RotaryEmbedding', [23, 'write it as x * cos + rotated(x) * sin']],
  ['Swish', [24, 'write it as x * sigmoid(x)']],
  ['TensorScatter', [24, IN_FRONT]],
]);

/**
 * Writes a newer operator in those of set 17.
 *
 * @returns  what computes its first output; null for an operator that set 17 has.
 * @throws {BnnError} E_UNSUPPORTED naming the node, when it is not written here, with what can be done.
 */
export function lowerNewer(node: Node, graph: Graph): Value | null {
  const lowering = LOWERINGS.get(node.op);
  if (lowering !== undefined) return lowering(node, graph);
  if (!NEWER.has(node.op)) return null;
  throw unsupported(node, null);
}

function unsupported(node: Node, found: string | null): BnnError {
  const [since, hint] = NEWER.get(node.op) ?? [0, ''];
  const why = found === null ? '' : `, and ${found}`;
  return new BnnError(
    'E_UNSUPPORTED',
    `${node.type}: it came with operator set ${since}${why}, expected what the operators of set 17 can express`,
    { at: node.describe(), hint },
  );
}
