/**
 * 2-D convolution with weights of one bit: `BinaryConv` (data binarized too), `BinaryThresholdConv` (against a threshold per input
 * channel), `BinaryWeightConv` (data as they are), and their variants.
 *
 *     acc[n, o, i, j] = Σ_{c, r, s} d[n, c, i·stride + r·dilation − pad, …] · w[o, r, s, c],   d = ±1 or x
 *
 * Padding contributes nothing: the zeros are put in after the binarization.
 */

import { packedBytes, signOf, unpackSigns } from '../core/numbers/bits.ts';
import { slidingWindowSize } from '../core/tensors/shape.ts';
import { type Tensor, tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { type Attributes, int } from '../graph/attribute.ts';
import type { Dim, Node, ValueType } from '../graph/graph.ts';
import { convBody, SIZE_ATTRIBUTES } from './binary-conv-body.ts';
import type { AttributeSchema, InputSchema, OperatorDefinition, OperatorSchema } from './definition.ts';
import { epilogueInputs, epilogueReference, epilogueSizes, layerDoc } from './epilogue.ts';
import { passThrough } from './function-body.ts';
import { expectInputs, floatData, inputsByName, requiredInts, requiredPositiveInt } from './layer-schema.ts';
import { type LayerVariant, variantsOf } from './variants.ts';

const CONV_ATTRIBUTES: readonly AttributeSchema[] = [
  { name: 'strides', kind: 'ints', doc: 'along height and width' },
  { name: 'pads', kind: 'ints', doc: 'top, left, bottom, right' },
  { name: 'dilations', kind: 'ints', doc: 'along height and width' },
  { name: 'group', kind: 'int', doc: 'number of groups of channels' },
  { name: 'kernel_shape', kind: 'ints', doc: 'height and width of the kernel' },
];
const CHANNELS: AttributeSchema = {
  name: 'channels',
  kind: 'int',
  doc: 'input channels of one group: bits per row of w',
};

interface Geometry {
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly kernel: readonly number[];
  readonly group: number;
  readonly channels: number;
}

function geometryOf(attributes: Attributes, at: string): Geometry {
  return {
    strides: requiredInts(attributes, 'strides', 2, at),
    pads: requiredInts(attributes, 'pads', 4, at),
    dilations: requiredInts(attributes, 'dilations', 2, at),
    kernel: requiredInts(attributes, 'kernel_shape', 2, at),
    group: requiredPositiveInt(attributes, 'group', at),
    channels: requiredPositiveInt(attributes, 'channels', at),
  };
}

function outputSize(geometry: Geometry, axis: 0 | 1, size: number, at: string): number {
  const { kernel, strides, pads, dilations } = geometry;
  const [k = 1, stride = 1, begin = 0, end = 0, dilation = 1] = [
    kernel[axis],
    strides[axis],
    pads[axis],
    pads[axis + 2],
    dilations[axis],
  ];
  const result = slidingWindowSize(size, k, stride, begin, end, dilation);
  if (result < 1) {
    throw new BnnError('E_SHAPE', `a kernel of ${k} (dilation ${dilation}) does not fit ${size} padded elements`, {
      at,
    });
  }
  return result;
}

/** Output type from input types; throws E_SHAPE when they do not fit. */
function inferConv(schema: OperatorSchema, attributes: Attributes, types: readonly ValueType[], at: string): ValueType {
  const geometry = geometryOf(attributes, at);
  const [x, w] = types;
  const outputs: Dim = w?.shape?.[0] ?? null;
  if (typeof outputs === 'number' && outputs % geometry.group !== 0) {
    throw new BnnError('E_SHAPE', `${outputs} output channels in ${geometry.group} groups`, { at });
  }
  const [batch = null, , height = null, width = null] = x?.shape ?? [];
  const spatial = [height, width].map((size, axis) =>
    typeof size === 'number' ? outputSize(geometry, axis === 0 ? 0 : 1, size, at) : null,
  );
  const result = [batch, outputs, ...spatial];
  const channels = geometry.channels * geometry.group;
  const sizes = {
    x: [null, channels, null, null],
    w: [null, ...geometry.kernel, packedBytes(geometry.channels)],
    ...epilogueSizes(outputs, result),
    x_threshold: [channels],
  };
  expectInputs(schema, types, sizes, at);
  return { dtype: 'float32', shape: x?.shape == null ? [null, outputs, null, null] : result };
}

/** The data as the layer multiplies them. */
function dataOf(variant: LayerVariant, inputs: ReadonlyMap<string, Tensor>, at: string): Float32Array {
  const x = floatData(inputs.get('x'), 'x', at);
  if (variant.weightOnly) return x;
  if (!variant.threshold) return x.map(signOf);
  const threshold = floatData(inputs.get('x_threshold'), 'x_threshold', at);
  const [, , height = 0, width = 0] = inputs.get('x')?.shape ?? [];
  const channelOf = (i: number) => Math.floor(i / (height * width)) % threshold.length;
  return x.map((value, i) => (value >= (threshold[channelOf(i)] ?? Number.NaN) ? 1 : -1));
}

function convReference(schema: OperatorSchema, variant: LayerVariant, at: string): OperatorDefinition['reference'] {
  return (inputs, attributes) => {
    const { strides, pads, dilations, kernel, group, channels } = geometryOf(attributes, at);
    const { shape = null } = inferConv(schema, attributes, inputs, at);
    const [batch = 0, outputs = 0, outHeight = 0, outWidth = 0] = (shape ?? []).map(Number);
    const [x, w] = inputs;
    const byName = inputsByName(schema, inputs);
    const data = dataOf(variant, byName, at);
    const weights = unpackSigns((w?.data ?? new Uint8Array()) as Uint8Array, channels);
    const finish = epilogueReference(variant, byName, at);
    const [, inChannels = 0, height = 0, width = 0] = x?.shape ?? [];
    const [kernelHeight = 1, kernelWidth = 1] = kernel;
    const [strideY = 1, strideX = 1] = strides;
    const [padTop = 0, padLeft = 0] = pads;
    const [dilationY = 1, dilationX = 1] = dilations;

    const accumulate = (n: number, o: number, i: number, j: number): number => {
      const firstChannel = Math.floor(o / (outputs / group)) * channels;
      let acc = 0;
      for (let r = 0; r < kernelHeight; r++) {
        const row = i * strideY + r * dilationY - padTop;
        if (row < 0 || row >= height) continue;
        for (let s = 0; s < kernelWidth; s++) {
          const column = j * strideX + s * dilationX - padLeft;
          if (column < 0 || column >= width) continue;
          const weightBase = ((o * kernelHeight + r) * kernelWidth + s) * channels;
          for (let c = 0; c < channels; c++) {
            const position = ((n * inChannels + firstChannel + c) * height + row) * width + column;
            acc += (data[position] ?? 0) * (weights[weightBase + c] ?? 0);
          }
        }
      }
      return acc;
    };

    const y = new Float32Array(batch * outputs * outHeight * outWidth);
    let index = 0;
    for (let n = 0; n < batch; n++) {
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < outHeight; i++) {
          for (let j = 0; j < outWidth; j++, index++) {
            y[index] = finish(accumulate(n, o, i, j), o, index);
          }
        }
      }
    }
    return tensor('float32', [batch, outputs, outHeight, outWidth], y);
  };
}

const X_THRESHOLD: InputSchema = {
  name: 'x_threshold',
  dtype: 'float32',
  shape: '[C]',
  doc: 'the least x of each input channel that counts as +1',
};

/**
 * Nothing for a node that lacks what every node has: that is told where its geometry is read.
 *
 * @throws {BnnError} E_FORMAT when the shape of the weights is unknown.
 */
function sizesOf(node: Node): Attributes {
  const [group, channels] = [node.attribute('group', 'int'), node.attribute('channels', 'int')];
  if (group === undefined || channels === undefined) return {};
  const outputs = node.requiredInput(1).shape?.[0];
  if (typeof outputs !== 'number') {
    throw new BnnError('E_FORMAT', 'the shape of its packed weights is unknown, expected a constant', {
      at: node.describe(),
    });
  }
  return { data_channels: int(group * channels), output_channels: int(outputs) };
}

function dataDoc({ weightOnly, threshold }: LayerVariant): string {
  if (weightOnly) return 'x';
  return threshold ? '±1 by x ≥ x_threshold' : 'Sign(x)';
}

function defineConv(name: string, variant: LayerVariant): OperatorDefinition {
  const schema: OperatorSchema = {
    doc: layerDoc(variant, `Conv(${dataDoc(variant)}, unpack(w))${variant.weightOnly ? '' : ', an integer'}`),
    inputs: [
      { name: 'x', dtype: 'float32', shape: '[N, C, H, W]', doc: variant.weightOnly ? 'data' : 'binarized inside' },
      { name: 'w', dtype: 'uint8', shape: '[O, kH, kW, ⌈C/group/8⌉]', doc: 'packed signs' },
      ...epilogueInputs(variant, "[N, O, H', W']"),
      ...(variant.threshold ? [X_THRESHOLD] : []),
    ],
    output: { name: 'y', dtype: 'float32', shape: "[N, O, H', W']", doc: 'result' },
    attributes: [...CONV_ATTRIBUTES, CHANNELS, ...SIZE_ATTRIBUTES],
  };
  return {
    name,
    schema,
    infer: (node: Node) => {
      const types = schema.inputs.map((_, i) => node.requiredInput(i));
      return [inferConv(schema, node.attributes, types, node.describe())];
    },
    body: () => convBody(name, variant, schema, passThrough(CONV_ATTRIBUTES)),
    bodyAttributes: sizesOf,
    reference: convReference(schema, variant, `bnn.${name}`),
  };
}

/** `BinaryConv`, `BinaryThresholdConv`, `BinaryWeightConv` and their variants. */
export const BINARY_CONV: readonly OperatorDefinition[] = [...variantsOf('Conv')].map(([name, variant]) =>
  defineConv(name, variant),
);
