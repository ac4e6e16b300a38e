/** The standard operator Constant and the tensors it stands for. */

import { float32, int64s, scalar, type Tensor, tensor } from '../core/tensors/tensor.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { DecodeContext } from './decode-context.ts';

/**
 * The tensor of a Constant node, or undefined when it depends on an attribute of the caller (inside a function).
 *
 * @throws {BnnError} E_UNSUPPORTED for strings (sparse tensors are refused with the attributes), E_FORMAT without a value.
 */
export function constantTensor(attributes: Attributes, at: DecodeContext): Tensor | undefined {
  const [entry, ...others] = Object.entries(attributes);
  if (entry === undefined || others.length > 0) {
    at.fail(`Constant has ${Object.keys(attributes).length} attributes, expected one`);
  }
  const [name, attribute] = entry;
  if (attribute.kind === 'reference') return undefined;
  if (name === 'value' && attribute.kind === 'tensor') return attribute.value;
  if (name === 'value_float' && attribute.kind === 'float') return scalar(attribute.value);
  if (name === 'value_int' && attribute.kind === 'int')
    return tensor('int64', [], BigInt64Array.of(BigInt(attribute.value)));
  if (name === 'value_floats' && attribute.kind === 'floats') return float32([attribute.value.length], attribute.value);
  if (name === 'value_ints' && attribute.kind === 'ints') return int64s(attribute.value);
  if (name.startsWith('value_string')) return at.unsupported(`Constant with ${name}: tensors of strings`);
  return at.fail(
    `Constant has attribute "${name}" of kind ${attribute.kind}, expected value, value_float, value_int …`,
  );
}
