/**
 * What analyses and rewrites ask of an operator beyond its shapes: one row an operator, the only place that says it.
 *
 * Numbers of inputs are positions. The operator set is 17.
 */

import { roundHalfEven } from '../core/numbers/round.ts';
import type { Node } from '../graph/graph.ts';

/** A function of numbers; predicates give 0 or 1. */
export type ScalarFunction = (...x: number[]) => number;

export interface OperatorFacts {
  /**
   * The inputs that every element of the first output is an element of, wherever it stands there: `all` of them where operands are
   * joined, or where the largest or least of them is taken. So signs stay signs, and `bnn.Sign`, which is monotone, commutes with it.
   */
  readonly elementsOf?: readonly number[] | 'all';
  /** Its output holds each element of its data exactly once, in another place or shape. */
  readonly rearranges?: true;
  /** What is said of elements holds for every output; else further outputs are positions and the like. */
  readonly everyOutput?: true;
  /** Works element by element: on `one` value (further inputs are single numbers), or on `several` that are broadcast. */
  readonly elementwise?: 'one' | 'several';
  /** What an element-wise operator computes of the elements; absent where it needs attributes. */
  readonly scalar?: ScalarFunction;
  /** `scalar` jumps: of a number that is not rounded yet, it may be another than of the one that a runtime has. */
  readonly jumps?: true;
  /** Its result is bool. */
  readonly isPredicate?: true;
  /** Another runtime may round `scalar` differently. */
  readonly isInexact?: true;
  /** Inputs that are parameters of the model where they are constant, whatever their size. */
  readonly parameters?: readonly number[];
  /** Inputs that are not, whatever their size: running statistics. */
  readonly statistics?: readonly number[];
  /** Multiplies 8-bit integers. */
  readonly isInteger?: true;
  /** The input that holds several weights in a byte, the attribute with the bits of one, and what it is unless given. */
  readonly packedInput?: { readonly index: number; readonly attribute: string; readonly bits: number };
}

const REARRANGES: OperatorFacts = { elementsOf: [0], rearranges: true };
const SELECTS: OperatorFacts = { elementsOf: [0] };
const ONE: OperatorFacts = { elementwise: 'one' };
const SEVERAL: OperatorFacts = { elementwise: 'several' };

const one = (scalar: ScalarFunction): OperatorFacts => ({ ...ONE, scalar });
const inexact = (scalar: ScalarFunction): OperatorFacts => ({ ...ONE, scalar, isInexact: true });
/** Constant between its jumps. */
const steps = (scalar: ScalarFunction): OperatorFacts => ({ ...ONE, scalar, jumps: true });
const several = (scalar: ScalarFunction): OperatorFacts => ({ ...SEVERAL, scalar });
/** A constant operand is a parameter. */
const arithmetic = (scalar: ScalarFunction): OperatorFacts => ({ ...several(scalar), parameters: [0, 1] });
const predicate = (holds: (a: number, b: number) => boolean): OperatorFacts => ({
  ...several((a = Number.NaN, b = Number.NaN) => (holds(a, b) ? 1 : 0)),
  isPredicate: true,
  jumps: true,
});
const weights = (...parameters: number[]): OperatorFacts => ({ parameters });

const integers = (...parameters: number[]): OperatorFacts => ({ parameters, isInteger: true });

const NAN = Number.NaN;

/** By `Node.type`. */
export const OPERATOR_FACTS: ReadonlyMap<string, OperatorFacts> = new Map<string, OperatorFacts>([
  // Move or select elements.
  ['DepthToSpace', REARRANGES],
  ['Flatten', REARRANGES],
  ['Identity', { ...REARRANGES, ...one((x = NAN) => x) }],
  ['Reshape', REARRANGES],
  ['SpaceToDepth', REARRANGES],
  ['Squeeze', REARRANGES],
  ['Transpose', REARRANGES],
  ['Unsqueeze', REARRANGES],
  ['Compress', SELECTS],
  ['Expand', SELECTS],
  ['Gather', { ...SELECTS, parameters: [0] }],
  ['GatherElements', SELECTS],
  ['GatherND', SELECTS],
  ['GlobalMaxPool', SELECTS],
  ['MaxPool', SELECTS],
  ['ReduceMax', SELECTS],
  ['ReduceMin', SELECTS],
  ['ReverseSequence', SELECTS],
  ['Slice', SELECTS],
  ['Split', { ...SELECTS, everyOutput: true }],
  ['Tile', SELECTS],
  ['TopK', SELECTS],
  ['Concat', { elementsOf: 'all' }],
  ['Max', { ...several(Math.max), elementsOf: 'all' }],
  ['Min', { ...several(Math.min), elementsOf: 'all' }],
  ['Where', { ...SEVERAL, elementsOf: [1, 2] }],

  // Element by element, on one value.
  ['Abs', one((x = NAN) => Math.abs(x))],
  ['Cast', one((x = NAN) => x)],
  ['Ceil', steps((x = NAN) => Math.ceil(x))],
  ['Clip', ONE],
  ['Elu', ONE],
  ['Erf', ONE],
  ['Exp', inexact((x = NAN) => Math.exp(x))],
  ['Floor', steps((x = NAN) => Math.floor(x))],
  ['HardSigmoid', ONE],
  ['HardSwish', ONE],
  ['LeakyRelu', ONE],
  ['Log', inexact((x = NAN) => Math.log(x))],
  ['Neg', one((x = NAN) => -x)],
  ['Not', { ...one((x) => (x === 0 ? 1 : 0)), isPredicate: true }],
  ['Reciprocal', one((x = NAN) => 1 / x)],
  ['Relu', one((x = NAN) => Math.max(x, 0))],
  ['Round', steps((x = NAN) => roundHalfEven(x))],
  ['Selu', ONE],
  ['Sigmoid', inexact((x = NAN) => 1 / (1 + Math.exp(-x)))],
  ['Sign', steps((x = NAN) => Math.sign(x))],
  ['Softplus', ONE],
  ['Softsign', ONE],
  ['Sqrt', one((x = NAN) => Math.sqrt(x))],
  ['Tanh', inexact((x = NAN) => Math.tanh(x))],
  ['bnn.Sign', ONE],

  // Element by element, on several.
  ['Add', arithmetic((a = NAN, b = NAN) => a + b)],
  ['Div', arithmetic((a = NAN, b = NAN) => a / b)],
  ['Mul', arithmetic((a = NAN, b = NAN) => a * b)],
  ['Sub', arithmetic((a = NAN, b = NAN) => a - b)],
  ['Pow', several((a = NAN, b = NAN) => a ** b)],
  ['PRelu', { ...SEVERAL, parameters: [1] }],
  ['Sum', several((a = NAN, b = NAN) => a + b)],
  ['And', predicate((a, b) => a !== 0 && b !== 0)],
  ['Equal', predicate((a, b) => a === b)],
  ['Greater', predicate((a, b) => a > b)],
  ['GreaterOrEqual', predicate((a, b) => a >= b)],
  ['Less', predicate((a, b) => a < b)],
  ['LessOrEqual', predicate((a, b) => a <= b)],
  ['Or', predicate((a, b) => a !== 0 || b !== 0)],
  ['Xor', predicate((a, b) => (a !== 0) !== (b !== 0))],

  // Normalization.
  ['BatchNormalization', { parameters: [1, 2], statistics: [3, 4] }],
  ['GroupNormalization', weights(1, 2)],
  ['InstanceNormalization', weights(1, 2)],
  ['LayerNormalization', weights(1, 2)],

  // Layers.
  ['Conv', weights(1, 2)],
  ['ConvInteger', integers(1)],
  ['ConvTranspose', weights(1, 2)],
  ['Einsum', weights(0, 1)],
  ['GRU', weights(1, 2, 3)],
  ['Gemm', weights(0, 1, 2)],
  ['LSTM', weights(1, 2, 3, 7)],
  ['MatMul', weights(0, 1)],
  ['MatMulInteger', integers(0, 1)],
  ['QLinearConv', integers(3, 8)],
  ['QLinearMatMul', integers(0, 3)],
  ['RNN', weights(1, 2, 3)],
  ['com.microsoft.FusedConv', weights(1, 2)],
  ['com.microsoft.FusedGemm', weights(0, 1, 2)],
  ['com.microsoft.FusedMatMul', weights(0, 1)],
  ['com.microsoft.MatMulBnb4', { ...weights(1, 2), packedInput: { index: 1, attribute: 'quant_bits', bits: 4 } }],
  ['com.microsoft.MatMulNBits', { ...weights(1, 2), packedInput: { index: 1, attribute: 'bits', bits: 4 } }],
  ['com.microsoft.NhwcFusedConv', weights(1, 2)],
  ['com.microsoft.QGemm', integers(0, 3, 6)],
]);

const UNKNOWN: OperatorFacts = {};

export function factsOf({ type }: Pick<Node, 'type'>): OperatorFacts {
  return OPERATOR_FACTS.get(type) ?? UNKNOWN;
}

/** The types of operators with some property, in the order of the table. */
export function operatorsWith(has: (facts: OperatorFacts) => boolean): string[] {
  return Array.from(OPERATOR_FACTS, ([type, facts]) => (has(facts) ? type : null)).filter((type) => type !== null);
}

/** True when an input holds elements that the first output passes on. */
export function passesOn({ elementsOf }: OperatorFacts, index: number): boolean {
  return elementsOf === 'all' || elementsOf?.includes(index) === true;
}

/** True when the elements of the output come from its first input alone. */
export function passesFirst({ elementsOf }: OperatorFacts): boolean {
  return elementsOf !== 'all' && elementsOf?.length === 1 && elementsOf[0] === 0;
}

/** Element-wise operators of one value; further inputs are single numbers. */
export const UNARY: readonly string[] = operatorsWith(({ elementwise }) => elementwise === 'one');

/** Element-wise operators of several values that are broadcast against each other. */
export const BROADCASTING: readonly string[] = operatorsWith(({ elementwise }) => elementwise === 'several');
