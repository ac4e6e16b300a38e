/**
 * Convolutions of bits in standard operators, in the fewest passes over the data.
 *
 * onnxruntime keeps the blocked layout of its convolutions from one to the next only where nothing but convolutions, activations that
 * it fuses into them, and sums lie between. So the signs, the scale and the bias are depthwise 1×1 convolutions here, with Clip and
 * LeakyRelu fused: one pass each. Comparison and Where, or Mul and Add, are up to five, and two changes of layout.
 */

import { int64s, scalar } from '../core/tensors/tensor.ts';
import { type Attributes, float, ints, reference } from '../graph/attribute.ts';
import type { Value } from '../graph/graph.ts';
import type { GraphFunction } from '../graph/model.ts';
import type { AttributeSchema, OperatorSchema } from './definition.ts';
import { afterBias } from './epilogue.ts';
import { FunctionBody, unpackedWeights } from './function-body.ts';
import type { LayerVariant } from './variants.ts';

/** The attributes that only the body reads, because a Conv wants its `group` as one. */
export const SIZE_ATTRIBUTES = [
  { name: 'data_channels', kind: 'int', doc: 'channels of x, group · channels' },
  { name: 'output_channels', kind: 'int', doc: 'channels of y' },
] as const satisfies readonly AttributeSchema[];

type SizeAttribute = (typeof SIZE_ATTRIBUTES)[number]['name'];

/** 2^127, the largest power of two, makes a whole number of 2^-22 of the least float, 2^-149. */
const STEEP = 2 ** 127;
/** So the signs of all floats are exact as ±2^-23; weights of ±2^23 take that back. */
const UNIT = 2 ** -23;

/**
 * @param passed  attributes of the calling node that its convolution takes as they are.
 */
export function convBody(
  name: string,
  variant: LayerVariant,
  schema: OperatorSchema,
  passed: Attributes,
): GraphFunction {
  const body = new ConvBody(name);
  const input = body.inputs(schema);
  const data = variant.weightOnly
    ? input('x')
    : body.signs(variant.threshold ? body.minus(input('x'), input('x_threshold')) : input('x'));
  const weights = unpackedWeights(body, input('w'), 4, [0, 3, 1, 2]);
  const scaledWeights = (factor: number) =>
    factor === 1 ? weights : body.op('Mul', [weights, body.number('weight_unit', factor)], 'scaled_weights');
  if (variant.sign) {
    // acc ≥ t, both whole numbers, is 2 · acc + 1 − 2t ≥ 1, and otherwise that is at most −1.
    const inputs = [data, scaledWeights(2 / UNIT), body.signOffset(input('acc_threshold'))];
    const doubled = body.op('Conv', inputs, 'doubled', passed);
    return body.finish([body.clip(doubled, 1, 'y')], schema.attributes);
  }
  const acc = body.op('Conv', [data, scaledWeights(variant.weightOnly ? 1 : 1 / UNIT)], 'acc', passed);
  const active = variant.relu ? body.op('Relu', [acc], 'active') : acc;
  const scaled = body.affine(active, input('scale'), input('bias'), 'output_channels', 'scaled');
  // Scaled by 1 so that onnxruntime does not take what follows into that convolution, which would add in another order.
  const rounded = body.op('LeakyRelu', [scaled], variant.add || variant.prelu ? 'biased' : 'y', { alpha: float(1) });
  const alongChannels = (vector: string) =>
    body.op('Unsqueeze', [input(vector), body.constant(`${vector}_axes`, int64s([1, 2]))], `channel_${vector}`);
  const residual = () => body.kept(input('residual'));
  return body.finish([afterBias(body, variant, rounded, residual, alongChannels)], schema.attributes);
}

class ConvBody extends FunctionBody {
  readonly #sizes = new Map<SizeAttribute, Value>();

  number(name: string, value: number): Value {
    return this.constant(name, scalar(value));
  }

  /** ±2^-23 for the sign of x, + for 0. */
  signs(x: Value): Value {
    const steep = this.affine(
      x,
      this.number('steepness', STEEP),
      this.number('sign_unit', UNIT),
      'data_channels',
      'steep',
    );
    return this.clip(steep, UNIT, 'signs');
  }

  /** x − threshold, which has the sign of the comparison in floats, and is 0 only where they are equal. */
  minus(x: Value, threshold: Value): Value {
    const offset = this.op('Neg', [threshold], 'minus_threshold');
    return this.affine(x, this.number('one', 1), offset, 'data_channels', 'difference');
  }

  /** 1 − 2⌈t⌉ for each output channel. */
  signOffset(threshold: Value): Value {
    const twice = this.op('Mul', [this.op('Ceil', [threshold], 'least_acc'), this.number('two', 2)], 'twice_least');
    const offset = this.op('Sub', [this.number('unity', 1), twice], 'acc_offset');
    return this.#perChannel(offset, 'output_channels', [-1], 'doubled_offset');
  }

  /**
   * x through a convolution of its own, into which onnxruntime takes the sum of it and something else. It would take it into the
   * convolution that x comes from, and round once where a sum of two values rounds twice.
   */
  kept(x: Value): Value {
    const kernels = this.#perChannel(this.number('same', 1), 'output_channels', [-1, 1, 1, 1], 'kept_factor');
    const attributes = { group: reference('output_channels', 'int'), kernel_shape: ints([1, 1]) };
    return this.op('Conv', [x, kernels], 'kept', attributes);
  }

  clip(x: Value, bound: number, output: string): Value {
    return this.op('Clip', [x, this.number(`${output}_least`, -bound), this.number(`${output}_most`, bound)], output);
  }

  /** factor · x + offset by channel; both are one number or a vector. */
  affine(x: Value, factor: Value, offset: Value, channels: SizeAttribute, output: string): Value {
    const kernels = this.#perChannel(factor, channels, [-1, 1, 1, 1], `${output}_factor`);
    const bias = this.#perChannel(offset, channels, [-1], `${output}_offset`);
    return this.op('Conv', [x, kernels, bias], output, {
      group: reference(channels, 'int'),
      kernel_shape: ints([1, 1]),
    });
  }

  #perChannel(values: Value, channels: SizeAttribute, shape: readonly number[], output: string): Value {
    const size = this.#sizes.get(channels) ?? this.attributeAsVector(channels);
    this.#sizes.set(channels, size);
    const all = this.op('Expand', [values, size], `${output}_all`);
    return this.op('Reshape', [all, this.constant(`${output}_shape`, int64s(shape))], output);
  }
}
