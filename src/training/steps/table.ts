/** Which builder makes the step of which operator. BatchNormalization is planned by `program.ts`, together with its neighbours. */

import { ACTIVATIONS, softmax } from './activation.ts';
import { add, div, mul, prelu, sub } from './arithmetic.ts';
import { conv } from './conv.ts';
import { dropout } from './dropout.ts';
import { gemm, matMul } from './linear.ts';
import { averagePool, globalAveragePool, globalMaxPool, maxPool } from './pooling.ts';
import { reduceMean } from './reduce.ts';
import { concat, flatten, identity, pad, reshape, slice, squeeze, transpose, unsqueeze } from './shaping.ts';
import { signStep } from './sign.ts';
import type { StepBuilder } from './step.ts';

export const STEP_BUILDERS: ReadonlyMap<string, StepBuilder> = new Map([
  ...Object.entries(ACTIVATIONS),
  ['Add', add],
  ['AveragePool', averagePool],
  ['Concat', concat],
  ['Conv', conv],
  ['Div', div],
  ['Dropout', dropout],
  ['Flatten', flatten],
  ['Gemm', gemm],
  ['GlobalAveragePool', globalAveragePool],
  ['GlobalMaxPool', globalMaxPool],
  ['Identity', identity],
  ['MatMul', matMul],
  ['MaxPool', maxPool],
  ['Mul', mul],
  ['PRelu', prelu],
  ['Pad', pad],
  ['ReduceMean', reduceMean],
  ['Reshape', reshape],
  ['Slice', slice],
  ['Softmax', softmax],
  ['Squeeze', squeeze],
  ['Sub', sub],
  ['Transpose', transpose],
  ['Unsqueeze', unsqueeze],
  ['bnn.Sign', signStep],
]);
