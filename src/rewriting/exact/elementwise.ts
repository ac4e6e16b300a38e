/** Operators that work element by element, in float64. */

import { signOf } from '../../core/numbers/bits.ts';
import { elementCount, normalizeAxis } from '../../core/tensors/shape.ts';
import { bytesPerElement, type Dtype } from '../../core/tensors/tensor.ts';
import { dtypeOfCode } from '../../graph/dtype-code.ts';
import { factsOf } from '../../operators/operator-facts.ts';
import { broadcast, type Evaluator } from './evaluator.ts';
import { asStored, type Exact, isInteger, wrapInteger } from './exact.ts';
import { quantizer } from './quantizer.ts';

/** What the facts have a function of numbers for. Pow alone takes operands of two types. */
export const onNumbers: Evaluator = (given, node, maxElements) => {
  const { scalar, elementwise, isPredicate, jumps } = factsOf(node);
  const inputs = jumps === true ? given.map(asStored) : given;
  const [a, b] = inputs;
  if (a === undefined || scalar === undefined) return null;
  const dtype = isPredicate === true ? 'bool' : a.dtype;
  const wrap = wrapInteger(dtype);
  const finish = isInteger(dtype) ? (x: number) => wrap(Math.trunc(x)) : (x: number) => x;
  if (elementwise === 'one') {
    return inputs.length === 1 ? { ...a, dtype, data: a.data.map((x) => finish(scalar(x))) } : null;
  }
  if (b === undefined || inputs.length !== 2 || (a.dtype !== b.dtype && !node.is('Pow'))) return null;
  return broadcast(inputs, dtype, maxElements, (x = Number.NaN, y = Number.NaN) => finish(scalar(x, y)));
};

export const binarySign: Evaluator = ([x]) => (x === undefined ? null : { ...x, data: asStored(x).data.map(signOf) });

/** Of unsigned integers, as graphs unpack bits with them. */
export const bitShift: Evaluator = (inputs, node, maxElements) => {
  const [x] = inputs;
  if (x === undefined || !x.dtype.startsWith('uint') || x.dtype === 'uint64' || inputs.length !== 2) return null;
  const bits = 8 * bytesPerElement(x.dtype);
  const isRight = node.string('direction', '') === 'RIGHT';
  return broadcast(inputs, x.dtype, maxElements, (a = 0, b = 0) =>
    isRight ? Math.floor(a / 2 ** b) : (a * 2 ** b) % 2 ** bits,
  );
};

/** Of integers, in two's complement. */
export const bitwise =
  (f: (a: bigint, b: bigint) => bigint): Evaluator =>
  (inputs, _, maxElements) => {
    const [x] = inputs;
    if (x === undefined || !isInteger(x.dtype) || inputs.some(({ dtype }) => dtype !== x.dtype)) return null;
    const bits = 8 * bytesPerElement(x.dtype);
    const wrap = (y: bigint) => Number(x.dtype.startsWith('u') ? BigInt.asUintN(bits, y) : BigInt.asIntN(bits, y));
    // A NaN or a fraction in the data of a damaged file is no integer.
    const result = broadcast(inputs, x.dtype, maxElements, (a = 0, b = 0) =>
      Number.isInteger(a) && Number.isInteger(b) ? wrap(f(BigInt(a), BigInt(b))) : Number.NaN,
    );
    return result?.data.every(Number.isSafeInteger) === true ? result : null;
  };

/** The result has the sign of the divisor, with `fmod` that of the dividend. */
export const modulo: Evaluator = (given, node, maxElements) => {
  const inputs = given.map(asStored);
  const [x] = inputs;
  if (x === undefined || inputs.length !== 2) return null;
  const isFmod = node.int('fmod', 0) === 1;
  return broadcast(inputs, x.dtype, maxElements, (a = 0, b = Number.NaN) => {
    const rest = a % b;
    return isFmod || rest === 0 || rest < 0 === b < 0 ? rest : rest + b;
  });
};

export const where: Evaluator = (inputs, _, maxElements) => {
  const [, yes] = inputs;
  return inputs.length !== 3 || yes === undefined
    ? null
    : broadcast(inputs, yes.dtype, maxElements, (c = 0, a = Number.NaN, b = Number.NaN) => (c === 0 ? b : a));
};

export const clip: Evaluator = ([x, low, high]) => {
  if (x === undefined) return null;
  const [least, most] = [low?.data[0] ?? -Infinity, high?.data[0] ?? Infinity];
  return { ...x, data: x.data.map((value) => Math.min(most, Math.max(least, value))) };
};

/** `TensorProto.DataType` numbers, as the attribute `to` of Cast holds them. */
const CAST_TARGETS: ReadonlyMap<number, Dtype> = new Map([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [11, 'float64'],
]);

export const cast: Evaluator = ([x], node) => {
  const dtype = CAST_TARGETS.get(node.int('to', 0));
  if (x === undefined || dtype === undefined) return null;
  if (dtype === x.dtype) return x;
  if (dtype === 'bool') return { ...x, dtype, data: asStored(x).data.map((value) => (value === 0 ? 0 : 1)) };
  // A float beyond the integers of a type is whatever the processor makes of it.
  if (isInteger(dtype)) {
    return {
      ...x,
      dtype,
      data: isInteger(x.dtype) ? x.data.map(wrapInteger(dtype)) : asStored(x).data.map(Math.trunc),
    };
  }
  // A narrowing cast is an operation of the model, not rounding of ours: it is kept.
  return { ...x, dtype, data: dtype === 'float32' ? x.data.map(Math.fround) : x.data };
};

/** Which scale an element has, where there is one for all or one per index along `axis`; null for other forms. */
function scaleIndex([x, scale]: readonly Exact[], axis: number): ((i: number) => number) | null {
  if (x === undefined || scale === undefined || scale.shape.length > 1) return null;
  const at = normalizeAxis(axis, x.shape.length) ?? 0;
  const inner = elementCount(x.shape.slice(at + 1));
  const count = scale.data.length;
  if (count === 1) return () => 0;
  return count === x.shape[at] ? (i) => Math.floor(i / inner) % count : null;
}

/** (x − zero) · scale. */
export const dequantize: Evaluator = (inputs, node) => {
  const [x, scale, zero] = inputs;
  const indexOf = node.int('block_size', 0) === 0 ? scaleIndex(inputs, node.int('axis', 1)) : null;
  if (x === undefined || scale === undefined || indexOf === null) return null;
  const data = x.data.map((value, i) => (value - (zero?.data[indexOf(i)] ?? 0)) * (scale.data[indexOf(i)] ?? 0));
  return { dtype: scale.dtype, shape: x.shape, data };
};

/** As the operator computes it: in float32, half way to even, saturated. */
export const quantize: Evaluator = (inputs, node) => {
  const [x, scale, zero] = inputs;
  const indexOf = node.int('block_size', 0) === 0 ? scaleIndex(inputs, node.int('axis', 1)) : null;
  if (x === undefined || scale === undefined || indexOf === null) return null;
  const code = node.int('output_dtype', 0);
  const dtype = zero?.dtype ?? (code === 0 ? 'uint8' : (dtypeOfCode(code) ?? null));
  if (dtype === null) return null;
  const functions = Array.from(scale.data, (s, i) => quantizer(dtype, s, zero?.data[i] ?? 0));
  if (functions.includes(null)) return null;
  const data = x.data.map((value, i) => functions[indexOf(i)]?.(Math.fround(value)) ?? Number.NaN);
  return { ...x, dtype, data };
};
