/**
 * Recognizes values that are a step function of another value, however the source writes it: Sign, comparisons, Where, casts and
 * arithmetic on their results are all evaluated on the three cases below, at and above the threshold, in the arithmetic of their
 * dtype. So no list of patterns has to be complete.
 */

import { roundHalfEven } from '../../core/numbers/round.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { factsOf } from '../../operators/operator-facts.ts';
import { scalarOf } from '../../rewriting/add-op.ts';
import { quantizer } from '../../rewriting/exact/quantizer.ts';
import { quantizedStep } from './quantized-step.ts';
import { combineSteps, mapStep, rounderOf, type Scalar, type Step } from './step.ts';

export interface FoundStep extends Step {
  /** What the function is of. */
  readonly source: Value;
  /** The operators between the source and the value. */
  readonly nodes: ReadonlySet<Node>;
}

/** Larger ones are left alone. */
const MAX_NODES = 24;

type Operand = number | FoundStep;

/** Deeper chains are taken to begin where the search ends. */
const MAX_DEPTH = 32;

/** The step function that computes a value, or null. */
export function findStep(value: Value): FoundStep | null {
  return new StepFinder().find(value, 0);
}

/** Also across what the canonical form has in front of a sign, so that two forms of one function meet at the same value. */
function signStep(node: Node): FoundStep {
  const inner = node.requiredInput(0).producer;
  if (inner?.is('Neg') === true) return start(node, { threshold: 0, below: 1, at: 1, above: -1 }, inner);
  if (inner?.is('Sub') === true) {
    const [a, b] = [inner.requiredInput(0), inner.requiredInput(1)];
    const [left, right] = [scalarOf(a), scalarOf(b)];
    if (right !== null && isOnLine(a, b)) return start(node, { threshold: right, below: -1, at: 1, above: 1 }, inner);
    if (left !== null && isOnLine(b, a)) {
      return { threshold: left, below: 1, at: 1, above: -1, source: b, nodes: new Set([inner, node]) };
    }
  }
  return start(node, { threshold: 0, below: -1, at: 1, above: 1 });
}

function start(node: Node, step: Step, inner?: Node): FoundStep {
  const source = (inner ?? node).requiredInput(0);
  return { ...step, source, nodes: new Set(inner === undefined ? [node] : [inner, node]) };
}

const COMPARISONS: ReadonlyMap<string, readonly [below: number, at: number, above: number]> = new Map(
  Object.entries<readonly [below: number, at: number, above: number]>({
    Greater: [0, 0, 1],
    GreaterOrEqual: [0, 1, 1],
    Less: [1, 0, 0],
    LessOrEqual: [1, 1, 0],
    Equal: [0, 1, 0],
  }),
);
/** c < x is x > c. */
const SWAPPED: ReadonlyMap<string, string> = new Map(
  Object.entries<string>({
    Greater: 'Less',
    GreaterOrEqual: 'LessOrEqual',
    Less: 'Greater',
    LessOrEqual: 'GreaterOrEqual',
    Equal: 'Equal',
  }),
);

/** Looks at every value once: two operands may lead to the same one. */
class StepFinder {
  readonly #known = new Map<Value, FoundStep | null>();

  find(value: Value, depth: number): FoundStep | null {
    const before = this.#known.get(value);
    if (before !== undefined) return before;
    const found = this.#search(value, depth);
    this.#known.set(value, found);
    return found;
  }

  #search({ producer: node }: Value, depth: number): FoundStep | null {
    if (node === null || node.outputs.length !== 1 || depth > MAX_DEPTH) return null;
    if (node.is('Sign', 'bnn')) return signStep(node);
    if (node.domain !== '') return null;
    return this.#starting(node, depth) ?? this.#applied(node, depth);
  }

  /** Operators that make a step function of any input. */
  #starting(node: Node, depth: number): FoundStep | null {
    const [x, y] = [node.input(0), node.input(1)];
    if (x === null || scalarOf(x) !== null) {
      const threshold = scalarOf(x);
      const swapped = SWAPPED.get(node.op);
      if (swapped === undefined) return quantizerStep(node);
      if (threshold === null || y === null || x === null || this.find(y, depth + 1) !== null) return null;
      const [below, at, above] = COMPARISONS.get(swapped) ?? [0, 0, 0];
      return isOnLine(y, x) ? { threshold, below, at, above, source: y, nodes: new Set([node]) } : null;
    }
    if (this.find(x, depth + 1) !== null) return null;
    if (node.op === 'Sign') return start(node, { threshold: 0, below: -1, at: 0, above: 1 });
    const threshold = scalarOf(y);
    const cases = COMPARISONS.get(node.op);
    if (cases !== undefined && threshold !== null && y !== null && isOnLine(x, y)) {
      const [below, at, above] = cases;
      return start(node, { threshold, below, at, above });
    }
    return roundedUnitStep(node) ?? quantizerStep(node);
  }

  /** Operators on step functions of one and the same value. */
  #applied(node: Node, depth: number): FoundStep | null {
    const operands: Operand[] = [];
    let found: FoundStep | null = null;
    const nodes = new Set<Node>([node]);
    for (const input of node.inputs) {
      if (input === null) return null;
      const constant = scalarOf(input);
      if (constant !== null) {
        operands.push(constant);
        continue;
      }
      const step = this.find(input, depth + 1);
      if (step === null || (found !== null && (found.source !== step.source || found.threshold !== step.threshold)))
        return null;
      for (const inner of step.nodes) nodes.add(inner);
      found = step;
      operands.push(step);
    }
    if (found === null || nodes.size > MAX_NODES || node.output.shape?.length !== found.source.shape?.length)
      return null;
    const round = rounderOf(node.output.dtype);
    const step = apply(node, operands, found, round);
    if (step === null || ![step.below, step.at, step.above].every(Number.isFinite)) return null;
    return { ...step, source: found.source, nodes };
  }
}

/** Only floats: the threshold of an integer may be far from what float32 holds. */
function isOnLine(x: Value, constant: Value): boolean {
  return x.dtype === 'float32' && (constant.shape?.length ?? 0) <= (x.shape?.length ?? 0);
}

const ROUNDING: ReadonlyMap<string, Scalar> = new Map(
  Object.entries<Scalar>({ Round: roundHalfEven, Floor: Math.floor, Ceil: Math.ceil }),
);

/** Round(Clip(x, n, n + 1)) or Clip(Round(x), n, n + 1), the binarization by a hard sigmoid or by one bit: half way goes to even. */
function roundedUnitStep(node: Node): FoundStep | null {
  const inner = node.input(0)?.producer ?? null;
  const [clip, rounding] = node.op === 'Clip' ? [node, inner] : [inner, node];
  const round = rounding?.domain === '' ? ROUNDING.get(rounding.op) : undefined;
  if (rounding === null || round === undefined || rounding.requiredInput(0).dtype !== 'float32') return null;
  const isUnit = clip?.is('Sigmoid') === true;
  if (clip === null || !(isUnit || clip.is('Clip'))) return null;
  const [low, high] = isUnit ? [0, 1] : [scalarOf(clip.input(1)), scalarOf(clip.input(2))];
  if (low === null || high === null || !Number.isInteger(low) || high !== low + 1) return null;
  const threshold = rounding.op === 'Round' ? low + 0.5 : rounding.op === 'Floor' ? high : low;
  const inside = (x: number) => round(Math.min(high, Math.max(low, x)));
  const step = { threshold, below: inside(threshold - 0.25), at: inside(threshold), above: inside(threshold + 0.25) };
  // What a Sigmoid gives is compared as it is.
  return isUnit ? start(node, step) : start(node, step, inner ?? undefined);
}

function quantizerStep(node: Node): FoundStep | null {
  const found = quantizedStep(node);
  return found === null ? null : { ...found, nodes: new Set(found.nodes) };
}

/** Signs that a quantizer passed: rounded to integers, and back. */
function quantized(node: Node, step: Step, [scale, zero = 0]: readonly Operand[]): Step | null {
  if (typeof scale !== 'number' || typeof zero !== 'number' || scale <= 0) return null;
  if (node.op === 'DequantizeLinear') {
    return node.output.dtype === 'float32' ? mapStep(step, (x) => Math.fround((x - zero) * scale)) : null;
  }
  const round = quantizer(node.output.dtype, scale, zero);
  return round === null ? null : mapStep(step, round);
}

function apply(node: Node, operands: readonly Operand[], like: Step, round: Scalar): Step | null {
  const [a, b, c] = operands.map((operand) => (typeof operand === 'number' ? mapStep(like, () => operand) : operand));
  if (a === undefined) return null;
  const { scalar, elementwise, isInexact } = factsOf(node);
  if (scalar !== undefined && elementwise === 'one' && operands.length === 1) {
    // Where another runtime could round differently, the three values would not be exact.
    return isInexact === true ? null : mapStep(a, (x) => round(scalar(x)));
  }
  if (node.op === 'QuantizeLinear' || node.op === 'DequantizeLinear') return quantized(node, a, operands.slice(1));
  if (scalar !== undefined && elementwise === 'several' && b !== undefined && operands.length === 2) {
    return combineSteps(a, b, (x, y) => round(scalar(x, y)));
  }
  if (b === undefined || c === undefined || operands.length !== 3) return null;
  if (node.op === 'Clip') {
    return combineSteps(combineSteps(a, b, Math.max) ?? a, c, Math.min);
  }
  if (node.op !== 'Where') return null;
  const pick = (when: number, yes: number, no: number) => (when === 0 ? no : yes);
  return {
    threshold: like.threshold,
    below: pick(a.below, b.below, c.below),
    at: pick(a.at, b.at, c.at),
    above: pick(a.above, b.above, c.above),
  };
}
