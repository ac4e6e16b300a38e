/** Constants that hold the same numbers are one: stored once, counted once. */

import { bytesOf, type Tensor } from '../core/tensors/tensor.ts';
import type { Graph, Value } from '../graph/graph.ts';

/**
 * Tells constants apart by their contents. Those of a single repeated number are all different: zeros and ones are where a training
 * starts, and do not stay equal.
 */
export class EqualConstants {
  readonly #byKey = new Map<string, Tensor[]>();

  /** What is the same for constants of equal dtype, shape and contents, and for no others. */
  identityOf(value: Value & { readonly constant: Tensor }): Tensor | Value {
    const { constant } = value;
    if (isFill(constant)) return value;
    const key = `${constant.dtype} ${constant.shape.join()} ${hash(bytesOf(constant))}`;
    const candidates = this.#byKey.get(key) ?? [];
    const known = candidates.find((candidate) => sameContents(candidate, constant));
    if (known !== undefined) return known;
    this.#byKey.set(key, [...candidates, constant]);
    return constant;
  }
}

export function sameContents(a: Tensor, b: Tensor): boolean {
  return a.dtype === b.dtype && a.shape.join() === b.shape.join() && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function isFill({ data }: Tensor): boolean {
  for (const element of data) if (element !== data[0]) return false;
  return true;
}

/** FNV-1a, of at most some thousand bytes spread over the whole. */
function hash(bytes: Uint8Array): number {
  const step = Math.max(1, Math.floor(bytes.length / 4096));
  let state = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i += step) state = Math.imul(state ^ (bytes[i] ?? 0), 0x01000193);
  return state >>> 0;
}

/** Lets every reader of a constant read the first one that equals it. @returns whether something changed. */
export function shareEqualConstants(graph: Graph): boolean {
  const equal = new EqualConstants();
  const firsts = new Map<Tensor | Value, Value>();
  let isChanged = false;
  for (const value of [...graph.constants()]) {
    if (graph.isInput(value) || value.isOutput()) continue;
    const identity = equal.identityOf(value);
    const first = firsts.get(identity);
    if (first === undefined) firsts.set(identity, value);
    else isChanged = mergeConstants(graph, value, first);
  }
  return isChanged;
}

/** Makes all readers of a constant read another one, and removes it. */
export function mergeConstants(graph: Graph, value: Value, first: Value): true {
  for (const { node, index } of [...value.uses]) graph.setInput(node, index, first);
  graph.removeConstant(value);
  return true;
}
