/** `bnn.Sign`: the binarization of activations and weights. Its gradient is the estimator's business, not the graph's. */

import { signOf } from '../core/numbers/bits.ts';
import { isDtype, tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { OperatorDefinition } from './definition.ts';
import { FunctionBody, signOfData } from './function-body.ts';

export const SIGN: OperatorDefinition = {
  name: 'Sign',
  schema: {
    doc: '+1 where x ≥ 0, else −1. Sign(0) = +1, unlike the standard operator.',
    inputs: [{ name: 'x', dtype: 'float32', shape: 'any', doc: 'any values' }],
    output: { name: 'y', dtype: 'float32', shape: 'as x', doc: '±1' },
    attributes: [],
  },
  infer: (node) => {
    const { dtype, shape } = node.requiredInput(0);
    return [{ dtype, shape }];
  },
  body: () => {
    const body = new FunctionBody('Sign');
    return body.finish([signOfData(body, body.input('x'), 'y')], []);
  },
  reference: ([x]) => {
    if (x === undefined || !isDtype(x, 'float32')) {
      throw new BnnError('E_FORMAT', `bnn.Sign got ${x?.dtype ?? 'nothing'}, expected a float32 tensor`);
    }
    return tensor('float32', x.shape, x.data.map(signOf));
  },
};
