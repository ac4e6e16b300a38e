/** Recognizes values whose every element is −1 or +1, so that one more `bnn.Sign` would change nothing. */

import type { Node, Value } from '../graph/graph.ts';
import { numbersOf, scalarOf } from './add-op.ts';

/** Operators whose output holds nothing but elements of their first input. MaxPool ignores its padding. */
const SELECTIONS = new Set([
  'Expand',
  'Flatten',
  'Gather',
  'Identity',
  'MaxPool',
  'Reshape',
  'Slice',
  'Split',
  'Squeeze',
  'Tile',
  'Transpose',
  'Unsqueeze',
]);

/** Operators one behind the other; deeper ones are not looked through, since a graph may be deeper than the stack. */
const MAX_DEPTH = 256;

export function isSignValued(value: Value): boolean {
  return check(value, new Map(), 0);
}

function check(value: Value, known: Map<Value, boolean>, depth: number): boolean {
  const before = known.get(value);
  if (before !== undefined) return before;
  // A value that is being looked at cannot be reached again: graphs have no cycles.
  const result = depth < MAX_DEPTH && isSigns(value, known, depth);
  known.set(value, result);
  return result;
}

function isSigns(value: Value, known: Map<Value, boolean>, depth: number): boolean {
  const constant = value.constant === null ? null : numbersOf(value);
  if (constant !== null) return constant.length > 0 && constant.every((x) => x === 1 || x === -1);
  const node = value.producer;
  if (node === null) return false;
  if (node.is('Sign', 'bnn')) return true;
  if (node.domain !== '') return false;
  const all = (indices: readonly number[]) => indices.every((i) => check(node.requiredInput(i), known, depth + 1));
  if (SELECTIONS.has(node.op)) return node.outputs[0] === value && all([0]);
  switch (node.op) {
    case 'Neg':
      return all([0]);
    case 'Mul':
    case 'Div':
    case 'Min':
    case 'Max':
    case 'Concat':
      return all([...node.inputs.keys()]);
    case 'Where':
      return all([1, 2]);
    case 'Clip':
      return all([0]) && keepsOne(node);
    case 'Pad':
      return all([0]) && isSignPadding(node);
    default:
      return false;
  }
}

function keepsOne(node: Node): boolean {
  const [low, high] = [scalarOf(node.input(1)), scalarOf(node.input(2))];
  return (node.input(1) === null || (low ?? 0) <= -1) && (node.input(2) === null || (high ?? 0) >= 1);
}

/** A border of +1 or −1, or of elements of the input. */
function isSignPadding(node: Node): boolean {
  if (node.string('mode', 'constant') !== 'constant') return true;
  return Math.abs(node.input(2) === null ? 0 : (scalarOf(node.input(2)) ?? 0)) === 1;
}
