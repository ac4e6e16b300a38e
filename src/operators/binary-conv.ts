/**
 * 2-D convolution with weights of one bit: `BinaryConv` (data binarized too), `BinaryWeightConv` (data as they are), and their
 * variants.
 *
 *     acc[n, o, i, j] = Σ_{c, r, s} d[n, c, i·stride + r·dilation − pad, …] · w[o, r, s, c],   d = Sign(x) or x
 *
 * Padding contributes nothing: the zeros are put in after Sign.
 */

import { packedBytes, signOf, unpackSigns } from '../core/bits.ts';
import { slidingWindowSize } from '../core/shape.ts';
import { int64s, tensor } from '../core/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { Dim, Node, ValueType } from '../graph/graph.ts';
import type { GraphFunction } from '../graph/model.ts';
import type { AttributeSchema, OperatorDefinition, OperatorSchema } from './definition.ts';
import { FunctionBody, passThrough, signOfData, unpackedWeights } from './function-body.ts';
import { epilogueInputs, expectType, floatData, layerDoc, requiredInts, requiredPositiveInt } from './layer-schema.ts';
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
  const expected = [
    [null, geometry.channels * geometry.group, null, null],
    [null, ...geometry.kernel, packedBytes(geometry.channels)],
    [outputs],
    [outputs],
    result,
  ];
  for (const [i, input] of schema.inputs.entries()) {
    const type = types[i];
    if (type === undefined) throw new BnnError('E_FORMAT', `input ${input.name} is missing`, { at });
    expectType(type, input, expected[i] ?? [], at);
  }
  return { dtype: 'float32', shape: x?.shape == null ? [null, outputs, null, null] : result };
}

function convBody(name: string, variant: LayerVariant, attributes: readonly AttributeSchema[]): GraphFunction {
  const body = new FunctionBody(name);
  const [x, w, scale, bias] = [body.input('x'), body.input('w'), body.input('scale'), body.input('bias')];
  const residual = variant.add ? body.input('residual') : undefined;
  const data = variant.weightOnly ? x : signOfData(body, x, 'signs');
  const weights = unpackedWeights(body, w, 4, [0, 3, 1, 2]);
  const acc = body.op('Conv', [data, weights], 'acc', passThrough(CONV_ATTRIBUTES));
  const active = variant.relu ? body.op('Relu', [acc], 'active') : acc;
  const axes = body.constant('spatial_axes', int64s([1, 2]));
  const channelScale = body.op('Unsqueeze', [scale, axes], 'channel_scale');
  const channelBias = body.op('Unsqueeze', [bias, axes], 'channel_bias');
  // The scale stands first on purpose: as the second operand onnxruntime multiplies it into the ±1 weights, and the
  // accumulators are no longer integers.
  const scaled = body.op('Mul', [channelScale, active], 'scaled');
  const biased = body.op('Add', [scaled, channelBias], residual === undefined ? 'y' : 'biased');
  const y = residual === undefined ? biased : body.op('Add', [biased, residual], 'y');
  return body.finish([y], attributes);
}

function convReference(schema: OperatorSchema, variant: LayerVariant, at: string): OperatorDefinition['reference'] {
  return (inputs, attributes) => {
    const { strides, pads, dilations, kernel, group, channels } = geometryOf(attributes, at);
    const { shape = null } = inferConv(schema, attributes, inputs, at);
    const [batch = 0, outputs = 0, outHeight = 0, outWidth = 0] = (shape ?? []).map(Number);
    const [x, w, scaleInput, biasInput, residualInput] = inputs;
    const data = variant.weightOnly ? floatData(x, 'x', at) : floatData(x, 'x', at).map(signOf);
    const weights = unpackSigns((w?.data ?? new Uint8Array()) as Uint8Array, channels);
    const scale = floatData(scaleInput, 'scale', at);
    const bias = floatData(biasInput, 'bias', at);
    const residual = variant.add ? floatData(residualInput, 'residual', at) : undefined;
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
            const acc = accumulate(n, o, i, j);
            const active = variant.relu ? Math.max(acc, 0) : acc;
            y[index] = (scale[o] ?? 0) * active + (bias[o] ?? 0) + (residual?.[index] ?? 0);
          }
        }
      }
    }
    return tensor('float32', [batch, outputs, outHeight, outWidth], y);
  };
}

function defineConv(name: string, variant: LayerVariant): OperatorDefinition {
  const attributes = [...CONV_ATTRIBUTES, CHANNELS];
  const schema: OperatorSchema = {
    doc: layerDoc(variant, variant.weightOnly ? 'Conv(x, unpack(w))' : 'Conv(Sign(x), unpack(w)), an integer'),
    inputs: [
      { name: 'x', dtype: 'float32', shape: '[N, C, H, W]', doc: variant.weightOnly ? 'data' : 'binarized inside' },
      { name: 'w', dtype: 'uint8', shape: '[O, kH, kW, ⌈C/group/8⌉]', doc: 'packed signs' },
      ...epilogueInputs(variant, "[N, O, H', W']"),
    ],
    output: { name: 'y', dtype: 'float32', shape: "[N, O, H', W']", doc: 'result' },
    attributes,
  };
  return {
    name,
    schema,
    infer: (node: Node) => {
      const types = schema.inputs.map((_, i) => node.requiredInput(i));
      return [inferConv(schema, node.attributes, types, node.describe())];
    },
    body: () => convBody(name, variant, attributes),
    reference: convReference(schema, variant, `bnn.${name}`),
  };
}

/** `BinaryConv`, `BinaryWeightConv` and their variants. */
export const BINARY_CONV: readonly OperatorDefinition[] = [...variantsOf('Conv')].map(([name, variant]) =>
  defineConv(name, variant),
);
