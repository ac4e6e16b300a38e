import type { Tensor } from '../../core/tensors/tensor.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import { packedVariant } from '../../operators/variants.ts';
import { mergeConstants, sameContents, shareEqualConstants } from '../equal-constants.ts';
import type { Pass } from '../pass.ts';

/** Packed layers with the same bits were one layer in the source, so that their equal factors and offsets are one too. */
function shareEpilogues(graph: Graph): boolean {
  const known = new Map<Value, Value[]>();
  let isChanged = false;
  for (const node of graph.nodes()) {
    const bits = packedVariant(node) === undefined ? null : node.input(1);
    if (bits === null || bits.uses.length < 2) continue;
    const others = known.get(bits) ?? [];
    known.set(bits, others);
    for (const input of new Set(node.inputs.slice(2))) {
      if (input === null || input.constant === null || others.includes(input) || input.isOutput()) continue;
      const { constant } = input;
      const same = others.find((other) => other.constant !== null && sameContents(other.constant as Tensor, constant));
      if (same === undefined) others.push(input);
      else isChanged = mergeConstants(graph, input, same);
    }
  }
  return isChanged;
}

export const SHARE_CONSTANTS: Pass = {
  name: 'share-constants',
  doc: 'Stores constants of equal contents once: layers that share their weights go on sharing them.',
  rewrites: [],
  run: ({ graph }) => {
    const isShared = shareEqualConstants(graph);
    return { changed: shareEpilogues(graph) || isShared };
  },
};
