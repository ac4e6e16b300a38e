/** Which builder makes the step of which operator, and what is computed in one step with its neighbours. */

import type { Node } from '../../graph/graph.ts';
import { ACTIVATIONS, softmax } from './activation.ts';
import { add, div, mul, prelu, sub } from './arithmetic.ts';
import { fuseNorm } from './batch-norm.ts';
import { fuseBinaryConv } from './binary-conv.ts';
import { conv } from './conv.ts';
import { dropout } from './dropout.ts';
import { gemm, matMul } from './linear.ts';
import { averagePool, globalAveragePool, globalMaxPool, maxPool } from './pooling.ts';
import { fuseMagnitude, reduceMean } from './reduce.ts';
import { concat, flatten, identity, pad, reshape, slice, squeeze, transpose, unsqueeze } from './shaping.ts';
import { signStep } from './sign.ts';
import type { Fusion, StepBuilder } from './step.ts';

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

/** Each says what a node is computed together with, or null; at most one of them knows an operator. BatchNormalization always goes this way. */
export const FUSIONS: readonly ((node: Node) => Fusion | null)[] = [fuseBinaryConv, fuseMagnitude, fuseNorm];
