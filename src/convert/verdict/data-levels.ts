/** How many levels the activations have that go into a layer. */

import type { Node, Value } from '../../graph/graph.ts';
import { factsOf, passesOn } from '../../operators/operator-facts.ts';
import { numbersOf, scalarOf } from '../../rewriting/add-op.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { affineSignsOf } from '../signs/affine-signs.ts';
import { findStep } from '../signs/find-step.ts';
import type { Levels } from './weight-levels.ts';

/** Operators behind which values keep their levels, up to a factor, an offset and a border; beside those that pass elements on. */
const KEEPING = new Set(['Neg', 'Mul', 'Div', 'Add', 'Sub', 'Clip', 'Relu', 'Pad']);
const ROUNDING = new Set(['Round', 'Floor', 'Ceil', 'QuantizeLinear', 'DequantizeLinear']);
const MAX_DEPTH = 64;

const FLOAT: Levels = { kind: 'float', bits: 32, what: 'floats' };

/** What a user may do about a sign that gives 0 at 0. */
export const PLUS_ADVICE = '--sign-zero plus accepts +1 there';

export function dataLevels(value: Value, context: RewriteContext): Levels {
  const affine = affineSignsOf(value);
  if (affine !== null) {
    const levels = [affine.offset - affine.factor, affine.offset + affine.factor].sort((a, b) => a - b);
    const what = affine.offset === 0 ? 'signs' : `${levels.join(' and ')}, and a border of zeros is neither`;
    return { kind: 'binary', bits: 1, what };
  }
  let current = value;
  let mixed = 'signs with other numbers among them';
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const node = current.producer;
    if (node === null) return FLOAT;
    if (node.is('Sign', 'bnn')) {
      return { ...FLOAT, what: mixed };
    }
    if (node.is('Sign')) {
      const what = `ternary: ${context.names.describe(node)} gives 0 at 0 (${PLUS_ADVICE})`;
      return { kind: 'ternary', bits: 2, what };
    }
    if (ROUNDING.has(node.type)) return ternaryStep(current, context) ?? roundedLevels(node, context);
    if (!KEEPING.has(node.type) && !passesOn(factsOf(node), 0)) return FLOAT;
    const next = node.inputs.find((input) => input !== null && !context.isConstantExpression(input));
    if (next === undefined || next === null) return FLOAT;
    const isFactor = node.is('Mul') || node.is('Div');
    if ((isFactor || node.is('Add') || node.is('Sub')) && node.inputs.every((input) => scalarOf(input) === null)) {
      mixed = `signs with ${isFactor ? 'factors' : 'offsets'} that differ within a sum, as ${context.names.describe(node)} gives them`;
    }
    current = next;
  }
  return FLOAT;
}

/** A sign that gives 0 at 0, behind whatever keeps its three values apart. */
function ternaryStep(value: Value, { names }: RewriteContext): Levels | null {
  const step = findStep(value);
  if (step === null || new Set([step.below, step.at, step.above]).size < 3) return null;
  const sign = [...step.nodes].find((node) => node.is('Sign'));
  const what = sign === undefined ? names.describeValue(value) : names.describe(sign);
  return { kind: 'ternary', bits: 2, what: `ternary: ${what} gives 0 at 0 (${PLUS_ADVICE})` };
}

/** Those of a byte, unless a clip around the rounding says otherwise. */
const BYTE = 256;

function roundedLevels(node: Node, { names }: RewriteContext): Levels {
  const count = clippedBehind(node) ?? clippedBefore(node) ?? BYTE;
  if (count === 3)
    return { kind: 'ternary', bits: 2, what: `ternary: rounded to three levels by ${names.describe(node)}` };
  const what = `rounded to several levels by ${names.describe(node)}`;
  return { kind: 'multi-bit', bits: Math.ceil(Math.log2(count)), what };
}

interface Range {
  readonly low: number;
  readonly high: number;
}

function boundsOf(clip: Node): Range | null {
  const [low, high] = [clip.input(1), clip.input(2)].map((bound) => numbersOf(bound)?.[0]);
  return clip.is('Clip') && low !== undefined && high !== undefined && low < high ? { low, high } : null;
}

/** Integers between the bounds of a clip behind the rounding. */
function clippedBehind(node: Node): number | null {
  for (const use of node.output.uses) {
    const bounds = boundsOf(use.node);
    if (bounds !== null) return bounds.high - bounds.low + 1;
  }
  return null;
}

/** Integers that a rounding can give, when what it rounds was clipped and then scaled. */
function clippedBefore(node: Node): number | null {
  const range = rangeOf(node.output, 0);
  return range === null ? null : range.high - range.low + 1;
}

function rangeOf(value: Value | null, depth: number): Range | null {
  const node = value?.producer ?? null;
  if (node === null || node.domain !== '' || depth > MAX_DEPTH) return null;
  if (node.op === 'Clip') return boundsOf(node);
  const round = ROUNDERS.get(node.op);
  if (round !== undefined) {
    const inside = rangeOf(node.input(0), depth + 1);
    return inside === null ? null : { low: round(inside.low), high: round(inside.high) };
  }
  if (node.op === 'Sigmoid' || node.op === 'HardSigmoid') return { low: 0, high: 1 };
  const [left, right] = [scalarOf(node.input(0)), scalarOf(node.input(1))];
  const number = right ?? left;
  const inner = number === null ? null : rangeOf(node.input(right === null ? 1 : 0), depth + 1);
  if (inner === null || number === null) return null;
  const change = CHANGES.get(node.op);
  if (change === undefined || (right === null && !['Add', 'Mul'].includes(node.op))) return null;
  const [a, b] = [change(inner.low, number), change(inner.high, number)];
  return { low: Math.min(a, b), high: Math.max(a, b) };
}

const ROUNDERS: ReadonlyMap<string, (x: number) => number> = new Map(
  Object.entries<(x: number) => number>({
    Ceil: Math.ceil,
    DequantizeLinear: (x) => x,
    Floor: Math.floor,
    Round: Math.round,
  }),
);

const CHANGES: ReadonlyMap<string, (x: number, c: number) => number> = new Map(
  Object.entries<(x: number, c: number) => number>({
    Add: (x, c) => x + c,
    Div: (x, c) => x / c,
    Mul: (x, c) => x * c,
    Sub: (x, c) => x - c,
  }),
);
