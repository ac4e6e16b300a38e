/** Which builder makes the step of which operator. BatchNormalization is planned by `program.ts`, together with its neighbours. */

import { conv } from './conv.ts';
import { abs, add, mul, prelu, relu } from './elementwise.ts';
import { gemm, matMul } from './linear.ts';
import { averagePool, globalAveragePool, maxPool } from './pooling.ts';
import { flatten, identity, pad, reduceMean, reshape, squeeze } from './shaping.ts';
import { signStep } from './sign.ts';
import type { StepBuilder } from './step.ts';

export const STEP_BUILDERS: ReadonlyMap<string, StepBuilder> = new Map([
  ['Abs', abs],
  ['Add', add],
  ['AveragePool', averagePool],
  ['Conv', conv],
  ['Dropout', identity],
  ['Flatten', flatten],
  ['Gemm', gemm],
  ['GlobalAveragePool', globalAveragePool],
  ['Identity', identity],
  ['MatMul', matMul],
  ['MaxPool', maxPool],
  ['Mul', mul],
  ['PRelu', prelu],
  ['Pad', pad],
  ['ReduceMean', reduceMean],
  ['Relu', relu],
  ['Reshape', reshape],
  ['Squeeze', squeeze],
  ['bnn.Sign', signStep],
]);
