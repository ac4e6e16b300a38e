/** Reading what must be known before a program can be built. */

import { toNumbers } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Node, Value } from '../../graph/graph.ts';

/** The rank of a value. */
export function rankOf(value: Value): number {
  if (value.shape === null) {
    throw new BnnError('E_UNSUPPORTED', `the rank of "${value.name}" is unknown, training needs it`, {
      hint: 'give the model an input of fixed size',
    });
  }
  return value.shape.length;
}

/** One size of a value, which must be a number. */
export function sizeOf(value: Value, axis: number): number {
  const size = value.shape?.[axis];
  if (typeof size !== 'number') {
    throw new BnnError('E_UNSUPPORTED', `dimension ${axis} of "${value.name}" is unknown, training needs it`, {
      hint: 'give the model an input of fixed size',
    });
  }
  return size;
}

/** The numbers of a constant input such as pads, axes or a shape. */
export function constantInput(node: Node, index: number): number[] {
  const value = node.requiredInput(index);
  if (value.constant === null) {
    throw new BnnError('E_UNSUPPORTED', `input ${index} ("${value.name}") must be a constant to train`, {
      at: node.describe(),
    });
  }
  return toNumbers(value.constant);
}

/** Refuses a node, naming what about it cannot be trained. */
export function unsupported(node: Node, reason: string): never {
  throw new BnnError('E_UNSUPPORTED', `cannot train ${node.type}: ${reason}`, { at: node.describe() });
}

/** A list that is an attribute in one operator set and a constant input in another; undefined when it is not given. */
export function listParameter(node: Node, name: string, index: number): readonly number[] | undefined {
  return node.attribute(name, 'ints') ?? (node.input(index) === null ? undefined : constantInput(node, index));
}

/** As `listParameter`, for one number, which may be infinite. */
export function scalarParameter(node: Node, name: string, index: number, fallback: number): number {
  const given =
    node.attribute(name, 'float') ?? (node.input(index) === null ? undefined : constantInput(node, index)[0]);
  if (Number.isNaN(given)) unsupported(node, `${name} is NaN, expected a number`);
  return given ?? fallback;
}

/** A number that steps compute with: an attribute within limits, both included. */
export function floatAttribute(node: Node, name: string, fallback: number, least = -3e38, most = 3e38): number {
  const value = node.float(name, fallback);
  if (!(value >= least && value <= most)) {
    unsupported(node, `${name} is ${value}, expected a number from ${least} to ${most}`);
  }
  return value;
}
