/**
 * Brings operators of other versions of the standard operator set into the form of version 17: attributes that became inputs,
 * inputs that were attributes, changed defaults. What version 17 cannot express is refused.
 *
 * Source: the operator changelog of the ONNX standard.
 */

import { elementCount } from '../../core/tensors/shape.ts';
import { createArray, float32, int64s, scalar, type Tensor, tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { type Attributes, float, int, ints } from '../../graph/attribute.ts';
import { dtypeOfCode } from '../../graph/dtype-code.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import { numbersOf } from '../../rewriting/add-op.ts';
import { OPSET } from '../../rewriting/opset.ts';
import { lowerNewer } from './newer-operators.ts';

type Change = (node: Node, graph: Graph, version: number) => void;

/** Oldest version that is read: before it, broadcasting had to be asked for with an axis. */
const OLDEST = 7;

/** Moves a list attribute to an input of int64. */
const listToInput =
  (attribute: string, index: number): Change =>
  (node, graph) => {
    const list = node.attribute(attribute, 'ints');
    if (list === undefined) return;
    setConstantInput(graph, node, index, attribute, int64s(list));
    dropAttributes(node, attribute);
  };

/** Moves a number attribute to a scalar input. */
const numberToInput =
  (attribute: string, index: number): Change =>
  (node, graph) => {
    const number = node.attribute(attribute, 'float');
    if (number === undefined) return;
    setConstantInput(graph, node, index, attribute, scalar(number));
    dropAttributes(node, attribute);
  };

/** They give a number itself where nothing is reduced; of the others, runtimes differ in whether they still square it and so on. */
const KEEPING_REDUCTIONS: ReadonlySet<string> = new Set(['ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd']);

/** Moves constant axes from an input back to the attribute; without axes all are reduced, or none if `noop_with_empty_axes` is set. */
const axesToAttribute: Change = (node, graph) => {
  const value = node.input(1);
  const axes = value === null ? [] : numbersOf(value);
  if (axes === null) throw refusal(node, 'its axes are computed', 'constant axes');
  const reducesNothing = axes.length === 0 && node.int('noop_with_empty_axes', 0) === 1;
  if (reducesNothing && !KEEPING_REDUCTIONS.has(node.op)) throw refusal(node, 'it reduces nothing', 'axes');
  if (reducesNothing) {
    replaceNode(graph, node, 'Identity', [node.input(0)], {});
    return;
  }
  dropAttributes(node, 'noop_with_empty_axes');
  if (axes.length > 0) setAttributes(node, { axes: ints(axes) });
  if (node.inputs.length > 1) replaceNode(graph, node, node.op, [node.input(0)], node.attributes);
};

/** Until version 12, Softmax and its relatives treated all dimensions from `axis` (default 1) on as one. */
const flattenedAxis: Change = (node, graph) => {
  const x = node.requiredInput(0);
  const axis = node.int('axis', 1);
  const rank = x.shape?.length;
  if (axis === -1 || (rank !== undefined && axis === rank - 1)) {
    setAttributes(node, { axis: int(-1) });
    return;
  }
  const add = (op: string, inputs: readonly Value[], attributes: Attributes = {}): Value =>
    graph.addNode(op, inputs, { attributes, before: node }).output;
  const matrix = add('Flatten', [x], { axis: int(axis) });
  const result = add(node.op, [matrix], { axis: int(-1) });
  replaceNode(graph, node, 'Reshape', [result, add('Shape', [x])], {});
};

const upsample: Change = (node, graph) => {
  const scales = node.attribute('scales', 'floats');
  const value =
    scales === undefined
      ? node.input(1)
      : graph.addConstant(`${node.output.name}.scales`, float32([scales.length], scales));
  const roi = graph.addConstant(`${node.output.name}.roi`, float32([0], []));
  replaceNode(graph, node, 'Resize', [node.requiredInput(0), roi, value], {
    mode: { kind: 'string', value: node.string('mode', 'nearest') },
    coordinate_transformation_mode: { kind: 'string', value: 'asymmetric' },
    nearest_mode: { kind: 'string', value: 'floor' },
  });
};

/** Since version 18 Pad may name axes; without them pads are listed for every dimension. */
const padAllAxes: Change = (node, graph) => {
  const value = node.input(3);
  if (value === null) return;
  const axes = numbersOf(value);
  const pads = numbersOf(node.input(1));
  const rank = node.requiredInput(0).shape?.length;
  if (axes === null || pads === null || rank === undefined)
    throw refusal(node, 'its axes are computed', 'constant axes');
  const all = new Array<number>(2 * rank).fill(0);
  for (const [i, axis] of axes.entries()) {
    const at = axis < 0 ? axis + rank : axis;
    all[at] = pads[i] ?? 0;
    all[at + rank] = pads[axes.length + i] ?? 0;
  }
  const pads17 = graph.addConstant(`${node.output.name}.pads`, int64s(all));
  const fill = node.input(2);
  replaceNode(graph, node, 'Pad', [node.input(0), pads17, ...(fill === null ? [] : [fill])], node.attributes);
};

const evenSplit: Change = (node) => {
  const count = node.attribute('num_outputs', 'int');
  if (count === undefined) return;
  const axis = node.int('axis', 0);
  const size = node.requiredInput(0).shape?.at(axis);
  if (typeof size !== 'number' || size % count !== 0) throw refusal(node, 'its parts are not equal', 'equal parts');
  dropAttributes(node, 'num_outputs');
};

const batchNormalization: Change = (node, graph) => {
  if (node.int('spatial', 1) !== 1) throw refusal(node, 'spatial is 0', 'one mean per channel');
  dropAttributes(node, 'spatial', 'is_test', 'consumed_inputs');
  if (node.outputs.slice(1).some((output) => output.uses.length > 0)) {
    throw refusal(node, 'its running statistics are read', 'the mode for inference');
  }
  if (node.outputs.length > 1) replaceNode(graph, node, node.op, node.inputs, node.attributes);
};

const clip: Change = (node, graph) => {
  for (const [index, name] of ['min', 'max'].entries()) numberToInput(name, index + 1)(node, graph, 0);
};

const slice: Change = (node, graph) => {
  for (const [index, name] of ['starts', 'ends', 'axes'].entries()) listToInput(name, index + 1)(node, graph, 0);
};

const pad: Change = (node, graph) => {
  listToInput('pads', 1)(node, graph, 0);
  numberToInput('value', 2)(node, graph, 0);
};

const topK: Change = (node, graph) => {
  const k = node.attribute('k', 'int');
  if (k === undefined) return;
  setConstantInput(graph, node, 1, 'k', int64s([k]));
  dropAttributes(node, 'k');
};

const resize10: Change = (node, graph) => {
  const roi = graph.addConstant(`${node.output.name}.roi`, float32([0], []));
  replaceNode(graph, node, 'Resize', [node.requiredInput(0), roi, node.input(1)], {
    mode: { kind: 'string', value: node.string('mode', 'nearest') },
    coordinate_transformation_mode: { kind: 'string', value: 'asymmetric' },
    nearest_mode: { kind: 'string', value: 'floor' },
  });
};

/** Since version 18 Resize may name axes, smooth what it shrinks, and keep the aspect ratio: attributes that version 17 has not. */
const resize18: Change = (node) => {
  if (node.int('antialias', 0) !== 0) throw refusal(node, 'antialias is on', 'no antialias');
  const policy = node.string('keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') throw refusal(node, `keep_aspect_ratio_policy is ${policy}`, 'stretch');
  const mode = node.string('coordinate_transformation_mode', 'half_pixel');
  if (mode === 'half_pixel_symmetric') throw refusal(node, `its coordinates are ${mode}`, 'a mode of operator set 17');
  const axes = node.attribute('axes', 'ints');
  if (axes?.some((axis, i) => axis !== i) === true || (axes !== undefined && axes.length !== rankOf(node))) {
    throw refusal(node, `it names axes [${axes.join(', ')}]`, 'all axes');
  }
  dropAttributes(node, 'antialias', 'keep_aspect_ratio_policy', 'axes');
};

/** In version 17 the windows of averages and norms have no gaps. */
const noDilations: Change = (node) => {
  const dilations = node.ints('dilations', []);
  if (dilations.some((step) => step !== 1)) throw refusal(node, `dilations are [${dilations.join(', ')}]`, 'ones');
  dropAttributes(node, 'dilations');
};

const wrapPad: Change = (node) => {
  if (node.string('mode', 'constant') === 'wrap') throw refusal(node, 'it pads by wrapping', 'another mode');
};

const scatterReduction: Change = (node) => {
  const kind = node.string('reduction', 'none');
  if (kind === 'min' || kind === 'max') throw refusal(node, `reduction is ${kind}`, 'none, add or mul');
};

/** Each group becomes a channel of an instance normalization. Until version 20, scale and bias are per group. */
const groupNormalization: Change = (node, graph, version) => {
  const [x, scale, bias] = [node.requiredInput(0), node.requiredInput(1), node.requiredInput(2)];
  const groups = node.int('num_groups', 1);
  const [, channels, ...spatial] = x.shape ?? [];
  if (typeof channels !== 'number') throw refusal(node, 'the number of its channels is unknown', 'known channels');
  if (groups < 1 || channels % groups !== 0)
    throw refusal(node, `${groups} groups of ${channels} channels`, 'equal groups');
  const add = (op: string, inputs: readonly Value[], attributes: Attributes = {}): Value =>
    graph.addNode(op, inputs, { attributes, before: node }).output;
  const constant = (name: string, data: Tensor): Value => graph.addConstant(`${node.output.name}.${name}`, data);
  const all = (name: string, value: number) => constant(name, float32([groups], new Float32Array(groups).fill(value)));
  const ones = spatial.map(() => 1);
  const perChannel = (value: Value, name: string): Value => {
    if (version >= 21) return add('Reshape', [value, constant(name, int64s([channels, ...ones]))]);
    const sizes = int64s([groups, channels / groups]);
    const repeated = add('Expand', [
      add('Reshape', [value, constant(name, int64s([groups, 1]))]),
      constant(name, sizes),
    ]);
    return add('Reshape', [repeated, constant(name, int64s([channels, ...ones]))]);
  };
  const grouped = add('Reshape', [x, constant('groups', int64s([0, groups, -1]))]);
  const epsilon: Attributes = { epsilon: float(node.float('epsilon', 1e-5)) };
  const normal = add('InstanceNormalization', [grouped, all('ones', 1), all('zeros', 0)], epsilon);
  const back = add('Reshape', [normal, add('Shape', [x])]);
  const scaled = add('Mul', [back, perChannel(scale, 'scale')]);
  replaceNode(graph, node, 'Add', [scaled, perChannel(bias, 'bias')], {});
};

/** x · tanh(softplus(x)). */
const mish: Change = (node, graph) => {
  const x = node.requiredInput(0);
  const softplus = graph.addNode('Softplus', [x], { before: node }).output;
  replaceNode(graph, node, 'Mul', [x, graph.addNode('Tanh', [softplus], { before: node }).output], {});
};

const rankOf = (node: Node): number | undefined => node.requiredInput(0).shape?.length;

const dropRatio: Change = (node) => dropAttributes(node, 'ratio', 'is_test');

/** Since version 21 the type of the integers may be an attribute; in version 17 it is that of the zero point. */
const quantizedType: Change = (node, graph) => {
  const code = node.int('output_dtype', 0);
  if (code === 0 || node.input(2) !== null) return;
  const dtype = dtypeOfCode(code);
  if (dtype !== 'int8' && dtype !== 'uint8') {
    throw refusal(node, `output_dtype is ${dtype ?? `data type ${code}`}`, 'int8 or uint8');
  }
  const shape = node.requiredInput(1).shape;
  if (shape?.every((size) => typeof size === 'number') !== true) {
    throw refusal(node, 'its scale has an unknown shape', 'a known shape');
  }
  const sizes = shape as readonly number[];
  setConstantInput(graph, node, 2, 'zero', tensor(dtype, sizes, createArray(dtype, elementCount(sizes))));
};

/** Since version 20 the modes are named for any number of dimensions; version 17 knows pictures alone. */
const gridModes: Change = (node) => {
  const rank = rankOf(node);
  if (rank !== undefined && rank !== 4) throw refusal(node, `its data have ${rank} dimensions`, '4');
  const mode = node.string('mode', 'linear');
  const name = { linear: 'bilinear', cubic: 'bicubic' }[mode] ?? mode;
  setAttributes(node, { mode: { kind: 'string', value: name } });
};

/** Since version 18 the windows of a norm may have gaps and stand over the end. */
const normWindows: Change = (node, graph, version) => {
  if (node.int('ceil_mode', 0) !== 0) throw refusal(node, 'ceil_mode is 1', '0');
  dropAttributes(node, 'ceil_mode');
  noDilations(node, graph, version);
};

const dequantizeAxis: Change = (node) => {
  const size = node.int('block_size', 0);
  if (size !== 0) throw refusal(node, `block_size is ${size}`, 'one scale per axis or tensor');
  dropAttributes(node, 'block_size', 'output_dtype', 'saturate', 'precision');
};

const dropSaturation: Change = (node) => dropAttributes(node, 'saturate', 'round_mode');

/** x · Φ(x), in operators of version 17; the tanh form likewise. */
const gelu: Change = (node, graph) => {
  const x = node.requiredInput(0);
  const constant = (value: number): Value => graph.addConstant(`${node.output.name}.c`, scalar(value));
  const op = (type: string, inputs: readonly Value[]): Value => {
    const { output } = graph.addNode(type, inputs, { before: node });
    output.dtype = x.dtype;
    output.shape = x.shape;
    return output;
  };
  let inner: Value;
  if (node.string('approximate', 'none') === 'tanh') {
    const cube = op('Mul', [op('Mul', [x, x]), x]);
    const sum = op('Add', [x, op('Mul', [cube, constant(0.044715)])]);
    inner = op('Tanh', [op('Mul', [sum, constant(Math.sqrt(2 / Math.PI))])]);
  } else inner = op('Erf', [op('Mul', [x, constant(Math.SQRT1_2)])]);
  const half = op('Mul', [x, constant(0.5)]);
  replaceNode(graph, node, 'Mul', [half, op('Add', [inner, constant(1)])], {});
};

/** Changes for nodes of an older version: applied when the model's version is below `before`. */
const UPGRADES: ReadonlyMap<string, readonly { readonly before: number; readonly change: Change }[]> = new Map(
  Object.entries<readonly { readonly before: number; readonly change: Change }[]>({
    BatchNormalization: [{ before: 14, change: batchNormalization }],
    Clip: [{ before: 11, change: clip }],
    Dropout: [{ before: 12, change: dropRatio }],
    Hardmax: [{ before: 13, change: flattenedAxis }],
    LogSoftmax: [{ before: 13, change: flattenedAxis }],
    Pad: [{ before: 11, change: pad }],
    ReduceSum: [{ before: 13, change: listToInput('axes', 1) }],
    Resize: [{ before: 11, change: resize10 }],
    Slice: [{ before: 10, change: slice }],
    Softmax: [{ before: 13, change: flattenedAxis }],
    Split: [{ before: 13, change: listToInput('split', 1) }],
    Squeeze: [{ before: 13, change: listToInput('axes', 1) }],
    TopK: [{ before: 10, change: topK }],
    Unsqueeze: [{ before: 13, change: listToInput('axes', 1) }],
    Upsample: [{ before: 10, change: upsample }],
  }),
);

const REDUCTIONS = ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'];

/** Changes for nodes of a newer version, from `since` on. */
const DOWNGRADES: ReadonlyMap<string, readonly { readonly since: number; readonly change: Change }[]> = new Map(
  Object.entries<readonly { readonly since: number; readonly change: Change }[]>({
    ...Object.fromEntries(REDUCTIONS.map((kind) => [`Reduce${kind}`, [{ since: 18, change: axesToAttribute }]])),
    AveragePool: [{ since: 19, change: noDilations }],
    Cast: [{ since: 19, change: dropSaturation }],
    CastLike: [{ since: 19, change: dropSaturation }],
    DequantizeLinear: [{ since: 19, change: dequantizeAxis }],
    Gelu: [{ since: 20, change: gelu }],
    GridSample: [{ since: 20, change: gridModes }],
    GroupNormalization: [{ since: 18, change: groupNormalization }],
    LpPool: [{ since: 18, change: normWindows }],
    Mish: [{ since: 18, change: mish }],
    Pad: [
      { since: 18, change: padAllAxes },
      { since: 19, change: wrapPad },
    ],
    QuantizeLinear: [
      { since: 21, change: quantizedType },
      { since: 19, change: dequantizeAxis },
    ],
    Resize: [{ since: 18, change: resize18 }],
    ScatterElements: [{ since: 18, change: scatterReduction }],
    ScatterND: [{ since: 18, change: scatterReduction }],
    Split: [{ since: 18, change: evenSplit }],
  }),
);

/**
 * Rewrites every standard operator of a graph from one version of the operator set to version 17.
 *
 * @param graph  its shapes are inferred as far as possible.
 * @throws {BnnError} E_UNSUPPORTED naming the node when version 17 has no equivalent, or the version is below 7.
 */
export function normalizeOpset(graph: Graph, version: number, at?: string): void {
  if (version < OLDEST) {
    throw new BnnError('E_UNSUPPORTED', `operator set ${version}, expected ${OLDEST} or newer`, {
      at,
      hint: 'convert the file with a newer version of its exporter, or with the version converter of the onnx package',
    });
  }
  for (const node of graph.nodes()) {
    if (node.domain !== '') continue;
    for (const { before, change } of UPGRADES.get(node.op) ?? []) if (version < before) change(node, graph, version);
    if (version <= OPSET) continue;
    const written = lowerNewer(node, graph);
    if (written !== null) {
      takePlace(graph, node, written);
      continue;
    }
    for (const change of DOWNGRADES.get(node.op) ?? [])
      if (version >= change.since) change.change(node, graph, version);
  }
}

function refusal(node: Node, found: string, expected: string): BnnError {
  return new BnnError('E_UNSUPPORTED', `${node.type}: ${found}, expected ${expected}`, {
    at: node.describe(),
    hint: `export the model again with operator set ${OPSET}`,
  });
}

function setConstantInput(graph: Graph, node: Node, index: number, name: string, data: Tensor): void {
  graph.setInput(node, index, graph.addConstant(`${node.output.name}.${name}`, data));
}

function setAttributes(node: Node, changed: Attributes): void {
  node.attributes = { ...node.attributes, ...changed };
}

function dropAttributes(node: Node, ...names: readonly string[]): void {
  node.attributes = Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));
}

/** Lets a value be what a node computed. */
function takePlace(graph: Graph, node: Node, value: Value): void {
  value.dtype = node.output.dtype;
  value.shape = node.output.shape;
  graph.replaceAllUses(node.output, value);
  graph.removeNode(node);
}

function replaceNode(
  graph: Graph,
  node: Node,
  op: string,
  inputs: readonly (Value | null)[],
  attributes: Attributes,
): void {
  if (node.outputs.some((extra, i) => i > 0 && (extra.uses.length > 0 || extra.isOutput()))) {
    throw refusal(node, `${node.outputs.length} outputs are read`, 'one');
  }
  takePlace(graph, node, graph.addNode(op, inputs, { name: node.name, attributes, before: node }).output);
}
