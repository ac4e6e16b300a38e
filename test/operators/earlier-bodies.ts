/**
 * The bodies of convolutions as files had them at first: comparisons and element-wise operators, each result rounded once. Files with
 * them are in use, and they broadcast more than today's; as the plainest form they are also a reference for today's.
 */

import { int64s } from '../../src/core/tensors/tensor.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { GraphFunction, Model } from '../../src/graph/model.ts';
import { BNN_DOMAIN } from '../../src/operators/definition.ts';
import { FunctionBody, passThrough, signOfData, unpackedWeights } from '../../src/operators/function-body.ts';
import { BNN_OPERATORS } from '../../src/operators/registry.ts';
import { LAYER_VARIANTS } from '../../src/operators/variants.ts';

const GEOMETRY = ['strides', 'pads', 'dilations', 'group', 'kernel_shape'];

function earlierConvBody(name: string): GraphFunction {
  const { schema } = BNN_OPERATORS.get(name)!;
  const variant = LAYER_VARIANTS.get(name)!;
  const body = new FunctionBody(name);
  const input = body.inputs(schema);
  const axes = body.constant('spatial_axes', int64s([1, 2]));
  const channels = (vector: string) => body.op('Unsqueeze', [input(vector), axes], `channel_${vector}`);
  const threshold = variant.threshold ? channels('x_threshold') : undefined;
  const data = variant.weightOnly ? input('x') : signOfData(body, input('x'), 'signs', threshold);
  const attributes = passThrough(schema.attributes.filter((attribute) => GEOMETRY.includes(attribute.name)));
  const acc = body.op('Conv', [data, unpackedWeights(body, input('w'), 4, [0, 3, 1, 2])], 'acc', attributes);
  if (variant.sign) return body.finish([signOfData(body, acc, 'y', channels('acc_threshold'))], schema.attributes);
  const active = variant.relu ? body.op('Relu', [acc], 'active') : acc;
  let y: Value = body.op('Mul', [channels('scale'), active], 'scaled');
  y = body.op('Add', [y, channels('bias')], variant.add || variant.prelu ? 'biased' : 'y');
  if (variant.add) y = body.op('Add', [y, input('residual')], variant.prelu ? 'summed' : 'y');
  if (!variant.prelu) return body.finish([y], schema.attributes);
  const bent = body.op('PRelu', [y, channels('slope')], 'bent');
  return body.finish([body.op('Add', [bent, channels('offset')], 'y')], schema.attributes);
}

/** Puts the earlier bodies in the place of today's. */
export function useEarlierBodies(model: Model): void {
  for (const [i, { domain, name, opsets }] of model.functions.entries()) {
    if (domain !== BNN_DOMAIN || LAYER_VARIANTS.get(name)?.layer !== 'Conv') continue;
    model.functions[i] = { ...earlierConvBody(name), opsets };
  }
}
