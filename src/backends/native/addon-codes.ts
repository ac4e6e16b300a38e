/** Numbers that stand for names in calls of the native addon. */

/** Codes of `binary`, in the order of native/kernels/elementwise/elementwise.h. */
export const BINARY_OPS = { add: 0, sub: 1, mul: 2, div: 3, max: 4, min: 5 } as const;
/** Codes of `unary`. */
export const UNARY_OPS = { relu: 0, step: 1, sign: 2, abs: 3, signum: 4 } as const;
/** How an operand of `binary` meets the result: same shape, one number, or one row repeated. */
export const OPERANDS = { full: 0, scalar: 1, row: 2 } as const;
export type OperandKind = (typeof OPERANDS)[keyof typeof OPERANDS];
