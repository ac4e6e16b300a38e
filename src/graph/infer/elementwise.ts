/** Shape rules: operators that work element by element, with NumPy broadcasting where they have several operands. */

import type { Dtype } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { dtypeOfCode } from '../dtype-code.ts';
import { formatShape } from '../format-type.ts';
import { broadcastAll, mismatch } from './dims.ts';
import { commonDtype, inputType } from './node-facts.ts';
import type { InferRule } from './rule.ts';

/** The output is like the first input. */
export const likeInput: InferRule = (node) => [inputType(node, 0)];

/** All inputs have one dtype, which the output has too unless `result` is given. */
export function broadcasting(result?: Dtype): InferRule {
  return (node) => {
    const dtype = commonDtype(node, node.inputs.keys());
    return [
      {
        dtype: result ?? dtype,
        shape: broadcastAll(
          node,
          node.inputs.map((x) => x?.shape ?? null),
        ),
      },
    ];
  };
}

/** The exponent may have another dtype than the base. */
const pow: InferRule = (node) => {
  const [x, y] = [inputType(node, 0), inputType(node, 1)];
  return [{ dtype: x.dtype, shape: broadcastAll(node, [x.shape, y.shape]) }];
};

/** The slope broadcasts to x, not x to the slope. */
const prelu: InferRule = (node) => {
  const [x, slope] = [inputType(node, 0), inputType(node, 1)];
  const both = broadcastAll(node, [x.shape, slope.shape]);
  const grows =
    both !== null &&
    x.shape !== null &&
    (both.length > x.shape.length || both.some((dim, i) => x.shape?.[i] === 1 && dim !== 1));
  if (grows) {
    throw mismatch(
      node,
      `slope of shape ${formatShape(slope.shape)}`,
      `one that broadcasts to ${formatShape(x.shape)}`,
    );
  }
  return [{ dtype: commonDtype(node, [0, 1]), shape: x.shape }];
};

const where: InferRule = (node) => {
  const shape = broadcastAll(
    node,
    [0, 1, 2].map((i) => inputType(node, i).shape),
  );
  return [{ dtype: commonDtype(node, [1, 2]), shape }];
};

const cast: InferRule = (node) => {
  const code = node.attribute('to', 'int');
  const dtype = code === undefined ? undefined : dtypeOfCode(code);
  if (dtype === undefined) {
    throw new BnnError('E_UNSUPPORTED', `cast to data type ${code ?? '(not given)'}, expected a number type`, {
      at: node.describe(),
    });
  }
  return [{ dtype, shape: inputType(node, 0).shape }];
};

/** The second output is the mask. */
const dropout: InferRule = (node) => [inputType(node, 0), { dtype: 'bool', shape: inputType(node, 0).shape }];

export const toBool: InferRule = (node) => [{ dtype: 'bool', shape: inputType(node, 0).shape }];

/** `zero_point` gives the integer type; without it, `output_dtype` or uint8. */
const quantize: InferRule = (node) => {
  const code = node.int('output_dtype', 0);
  const named = code === 0 ? 'uint8' : (dtypeOfCode(code) ?? null);
  const dtype = node.input(2) === null ? named : inputType(node, 2).dtype;
  return [{ dtype, shape: inputType(node, 0).shape }];
};

/** As the scale. */
const dequantize: InferRule = (node) => [{ dtype: inputType(node, 1).dtype, shape: inputType(node, 0).shape }];

const LIKE_INPUT = [
  ...['Relu', 'LeakyRelu', 'ThresholdedRelu', 'Elu', 'Selu', 'Celu', 'Gelu', 'Mish', 'Softplus', 'Softsign'],
  ...['Clip', 'Sigmoid', 'Tanh', 'HardSwish', 'HardSigmoid', 'Softmax', 'LogSoftmax', 'Identity'],
  ...['Sqrt', 'Abs', 'Neg', 'Exp', 'Log', 'Sign', 'Floor', 'Ceil', 'Round', 'Reciprocal', 'Erf', 'Sin', 'Cos'],
  ...['BitwiseNot', 'CumSum'],
];
const ARITHMETIC = ['Add', 'Sub', 'Mul', 'Div', 'Mod', 'BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor'];
const VARIADIC = ['Min', 'Max', 'Sum', 'Mean'];
const PREDICATES = ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'And', 'Or', 'Xor'];

export const ELEMENTWISE_RULES: Readonly<Record<string, InferRule>> = {
  ...Object.fromEntries(LIKE_INPUT.map((op) => [op, likeInput])),
  ...Object.fromEntries([...ARITHMETIC, ...VARIADIC].map((op) => [op, broadcasting()])),
  ...Object.fromEntries(PREDICATES.map((op) => [op, broadcasting('bool')])),
  Not: toBool,
  IsNaN: toBool,
  Pow: pow,
  PRelu: prelu,
  Where: where,
  Cast: cast,
  Dropout: dropout,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
};
