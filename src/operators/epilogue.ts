/** What a layer does with its accumulators, by the table in `variants.ts`: inputs, function body, plain reference. */

import type { Tensor } from '../core/tensors/tensor.ts';
import type { Dim, Value } from '../graph/graph.ts';
import type { InputSchema } from './definition.ts';
import type { FunctionBody } from './function-body.ts';
import { floatData } from './layer-schema.ts';
import type { LayerVariant } from './variants.ts';

const channels = (name: string, doc: string): InputSchema => ({ name, dtype: 'float32', shape: '[O]', doc });

/** The inputs after x and w. */
export function epilogueInputs(variant: LayerVariant, outputShape: string): InputSchema[] {
  if (variant.sign) return [channels('acc_threshold', 'the least accumulator that gives +1')];
  const inputs = [
    channels('scale', 'factor per output channel, of either sign'),
    channels('bias', 'added after the scale'),
  ];
  if (variant.add) {
    inputs.push({ name: 'residual', dtype: 'float32', shape: outputShape, doc: 'added to that, not broadcast' });
  }
  if (variant.prelu) inputs.push(channels('slope', 'factor of values below 0'), channels('offset', 'added last'));
  return inputs;
}

/** What is expected of their shapes, by name. */
export function epilogueSizes(outputs: Dim, result: readonly Dim[]): Readonly<Record<string, readonly Dim[]>> {
  const vector = [outputs];
  return { scale: vector, bias: vector, residual: result, slope: vector, offset: vector, acc_threshold: vector };
}

/** One sentence on what the operator computes; `product` is the accumulator in words. */
export function layerDoc(variant: LayerVariant, product: string): string {
  const z = `scale · ${variant.relu ? 'max(acc, 0)' : 'acc'} + bias${variant.add ? ' + residual' : ''}`;
  const y = variant.prelu ? `prelu(${z}, slope) + offset` : z;
  return `${variant.sign ? '+1 where acc ≥ acc_threshold, else −1' : y}; acc = ${product}.`;
}

/**
 * The part of a function body after scale and bias: residual, PReLU and offset.
 *
 * @param residual     the value to add, if any.
 * @param alongOutput  brings a vector over the output channels into the form that broadcasts to the result.
 */
export function afterBias(
  body: FunctionBody,
  variant: LayerVariant,
  biased: Value,
  residual: () => Value,
  alongOutput: (name: string) => Value,
): Value {
  const z = variant.add ? body.op('Add', [biased, residual()], variant.prelu ? 'summed' : 'y') : biased;
  if (!variant.prelu) return z;
  return body.op('Add', [body.op('PRelu', [z, alongOutput('slope')], 'bent'), alongOutput('offset')], 'y');
}

/**
 * The whole epilogue in plain arithmetic: a function of the accumulator, its output channel and the flat index of the result.
 *
 * @throws {BnnError} E_FORMAT when an input is not float32.
 */
export function epilogueReference(
  variant: LayerVariant,
  inputs: ReadonlyMap<string, Tensor>,
  at: string,
): (acc: number, output: number, index: number) => number {
  const data = (name: string) => floatData(inputs.get(name), name, at);
  if (variant.sign) {
    const threshold = data('acc_threshold');
    return (acc, o) => (acc >= (threshold[o] ?? Number.NaN) ? 1 : -1);
  }
  const [scale, bias] = [data('scale'), data('bias')];
  const residual = variant.add ? data('residual') : null;
  const [slope, offset] = variant.prelu ? [data('slope'), data('offset')] : [null, null];
  return (acc, o, index) => {
    const active = variant.relu ? Math.max(acc, 0) : acc;
    const z = (scale[o] ?? 0) * active + (bias[o] ?? 0) + (residual?.[index] ?? 0);
    return slope === null ? z : (z < 0 ? (slope[o] ?? 0) * z : z) + (offset?.[o] ?? 0);
  };
}
