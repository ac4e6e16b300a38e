/** Half and double precision become float32, the only type that the latent form has. */

import type { Dtype } from '../../core/tensors/tensor.ts';
import { float32, toNumbers } from '../../core/tensors/tensor.ts';
import { int, tensorAttribute } from '../../graph/attribute.ts';
import { DTYPE_CODES, dtypeOfCode } from '../../graph/dtype-code.ts';
import type { Graph } from '../../graph/graph.ts';

const FLOATS: ReadonlySet<Dtype | null> = new Set(['float16', 'bfloat16', 'float64']);

/**
 * Turns constants, inputs and casts of other float types into float32.
 *
 * @returns  what changes for the user: nothing when only constants were narrow, since every half is a float32.
 */
export function widenFloats(graph: Graph): string[] {
  const changes: string[] = [];
  for (const value of graph.inputs) {
    if (!FLOATS.has(value.dtype)) continue;
    changes.push(`input ${value.name} takes float32 instead of ${value.dtype}`);
    value.dtype = 'float32';
  }
  const computed = new Set(
    [...graph.values.values()].filter(({ producer, dtype }) => producer !== null && FLOATS.has(dtype)),
  );
  for (const value of graph.constants()) {
    if (FLOATS.has(value.dtype)) graph.setConstant(value, float32(value.constant.shape, toNumbers(value.constant)));
  }
  for (const node of graph.nodes()) {
    for (const [name, attribute] of Object.entries(node.attributes)) {
      if (attribute.kind !== 'tensor' || !FLOATS.has(attribute.value.dtype)) continue;
      const { shape } = attribute.value;
      node.attributes = { ...node.attributes, [name]: tensorAttribute(float32(shape, toNumbers(attribute.value))) };
    }
    const target = node.is('Cast') ? dtypeOfCode(node.int('to', 0)) : undefined;
    if (target !== undefined && FLOATS.has(target)) {
      node.attributes = { ...node.attributes, to: int(DTYPE_CODES.float32) };
    }
    for (const output of node.outputs) if (FLOATS.has(output.dtype)) output.dtype = 'float32';
  }
  const [first] = computed;
  if (first !== undefined) {
    changes.push(
      `${computed.size} values such as ${first.name} are computed in float32; the source rounds them to another type`,
    );
  }
  return changes;
}
