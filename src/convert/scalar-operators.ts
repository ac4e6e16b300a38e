/** The element-wise operators of the standard as functions of numbers; predicates give 0 or 1. */

import { roundHalfEven, type Scalar } from './step.ts';

export const UNARY_OPERATORS: ReadonlyMap<string, Scalar> = new Map(
  Object.entries<Scalar>({
    Abs: Math.abs,
    Cast: (x) => x,
    Ceil: Math.ceil,
    Exp: Math.exp,
    Floor: Math.floor,
    Identity: (x) => x,
    Log: Math.log,
    Neg: (x) => -x,
    Not: (x) => (x === 0 ? 1 : 0),
    Reciprocal: (x) => 1 / x,
    Relu: (x) => Math.max(x, 0),
    Round: roundHalfEven,
    Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    Sign: Math.sign,
    Sqrt: Math.sqrt,
    Tanh: Math.tanh,
  }),
);

export const BINARY_OPERATORS: ReadonlyMap<string, (a: number, b: number) => number> = new Map(
  Object.entries<(a: number, b: number) => number>({
    Add: (a, b) => a + b,
    And: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
    Div: (a, b) => a / b,
    Equal: (a, b) => (a === b ? 1 : 0),
    Greater: (a, b) => (a > b ? 1 : 0),
    GreaterOrEqual: (a, b) => (a >= b ? 1 : 0),
    Less: (a, b) => (a < b ? 1 : 0),
    LessOrEqual: (a, b) => (a <= b ? 1 : 0),
    Max: (a, b) => Math.max(a, b),
    Min: (a, b) => Math.min(a, b),
    Mul: (a, b) => a * b,
    Or: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
    Pow: (a, b) => a ** b,
    Sub: (a, b) => a - b,
    Sum: (a, b) => a + b,
    Xor: (a, b) => ((a !== 0) !== (b !== 0) ? 1 : 0),
  }),
);

/** Operators whose result is bool. */
export const PREDICATES: ReadonlySet<string> = new Set([
  'And',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Not',
  'Or',
  'Xor',
]);
