/** Float64 evaluation of the operators that appear in constant expressions: scaling factors, shapes, changes of layout, unpacked bits. */

import { operatorsWith } from '../../operators/operator-facts.ts';
import {
  binarySign,
  bitShift,
  bitwise,
  cast,
  clip,
  dequantize,
  modulo,
  onNumbers,
  quantize,
  where,
} from './elementwise.ts';
import type { Evaluator } from './evaluator.ts';
import {
  concat,
  constant,
  constantOfShape,
  expand,
  flatten,
  gather,
  reshape,
  shapeOf,
  slice,
  squeeze,
  transpose,
  unsqueeze,
} from './movement.ts';
import { REDUCTIONS } from './reduction.ts';

/** Evaluators by `Node.type`. */
export const EVALUATORS: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ...operatorsWith(({ scalar }) => scalar !== undefined).map((op): [string, Evaluator] => [op, onNumbers]),
  ...REDUCTIONS,
  ['BitShift', bitShift],
  ['BitwiseAnd', bitwise((a, b) => a & b)],
  ['BitwiseNot', bitwise((a) => ~a)],
  ['BitwiseOr', bitwise((a, b) => a | b)],
  ['BitwiseXor', bitwise((a, b) => a ^ b)],
  ['Cast', cast],
  ['Clip', clip],
  ['Concat', concat],
  ['Constant', constant],
  ['ConstantOfShape', constantOfShape],
  ['DequantizeLinear', dequantize],
  ['Expand', expand],
  ['Flatten', flatten],
  ['Gather', gather],
  ['Mod', modulo],
  ['QuantizeLinear', quantize],
  ['Reshape', reshape],
  ['Shape', shapeOf],
  ['Slice', slice],
  ['Squeeze', squeeze],
  ['Transpose', transpose],
  ['Unsqueeze', unsqueeze],
  ['Where', where],
  ['bnn.Sign', binarySign],
]);
