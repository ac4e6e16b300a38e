/** Recognizes values whose every element is −1 or +1, so that one more `bnn.Sign` would change nothing. */

import { toNumbers } from '../core/tensors/tensor.ts';
import type { Node, Value } from '../graph/graph.ts';
import { constantOf } from '../graph/infer/node-facts.ts';
import { BNN_DOMAIN } from './definition.ts';
import { factsOf, passesOn } from './operator-facts.ts';
import { LAYER_VARIANTS } from './variants.ts';

/** Longer chains of operators are not followed to their end. */
const MAX_DEPTH = 1000;

export function isSignValued(value: Value): boolean {
  return new SignSearch().check(value, 0);
}

/** Looks at every value once: operands may lead to the same one. */
class SignSearch {
  readonly #known = new Map<Value, boolean>();

  check(value: Value, depth: number): boolean {
    const before = this.#known.get(value);
    if (before !== undefined) return before;
    // A value that is being looked at cannot be reached again: graphs have no cycles.
    const result = depth <= MAX_DEPTH && this.#isSigns(value, depth);
    this.#known.set(value, result);
    return result;
  }

  #isSigns(value: Value, depth: number): boolean {
    const constant = constantOf(value);
    if (constant !== null) {
      const { data } = constant;
      return data.length > 0 && isSign(Number(data[0])) && toNumbers(constant).every(isSign);
    }
    const node = value.producer;
    if (node === null) return false;
    if (givesSigns(node)) return true;
    if (node.domain !== '') return false;
    const all = (indices: Iterable<number>) => [...indices].every((i) => this.check(node.requiredInput(i), depth + 1));
    const facts = factsOf(node);
    if (facts.elementsOf !== undefined) {
      const isPassed = node.outputs[0] === value || facts.everyOutput === true;
      return isPassed && all([...node.inputs.keys()].filter((i) => passesOn(facts, i)));
    }
    switch (node.op) {
      case 'Neg':
        return all([0]);
      case 'Mul':
      case 'Div':
        return all([0, 1]);
      case 'Clip':
        return all([0]) && keepsOne(node);
      case 'Pad':
        return all([0]) && isSignPadding(node);
      default:
        return false;
    }
  }
}

function isSign(x: number): boolean {
  return x === 1 || x === -1;
}

/** `bnn.Sign`, and the layers that end in it. */
function givesSigns(node: Node): boolean {
  return node.is('Sign', BNN_DOMAIN) || (node.domain === BNN_DOMAIN && LAYER_VARIANTS.get(node.op)?.sign === true);
}

/** The number that an input is; null when it is computed or several. */
function numberOf(value: Value | null): number | null {
  const constant = constantOf(value);
  return constant?.data.length === 1 ? (toNumbers(constant)[0] ?? null) : null;
}

function keepsOne(node: Node): boolean {
  const [low, high] = [numberOf(node.input(1)), numberOf(node.input(2))];
  return (node.input(1) === null || (low ?? 0) <= -1) && (node.input(2) === null || (high ?? 0) >= 1);
}

/** A border of +1 or −1, or of elements of the input. */
function isSignPadding(node: Node): boolean {
  if (node.string('mode', 'constant') !== 'constant') return true;
  return Math.abs(node.input(2) === null ? 0 : (numberOf(node.input(2)) ?? 0)) === 1;
}
