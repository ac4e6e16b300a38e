/** What a compilation did, for people and for `--explain`. */

import type { Node } from '../graph/graph.ts';
import { packedVariant } from '../operators/variants.ts';
import type { RewriteContext } from '../rewriting/context.ts';
import { type LayerRecord, nameOf, whyNeverPacked } from '../rewriting/layers/layers.ts';
import { addSizes, type LayerBytes, NO_SIZES, nodeSizes, type Sizes, subtractSizes } from './sizes.ts';

export type LayerOutcome = 'binary' | 'weight-only' | 'float' | 'int8' | 'removed';

export interface LayerReport {
  /** Name of the node in the source model. */
  readonly name: string;
  /** `Conv`, `Gemm`, `MatMul`, or an operator that is never packed. */
  readonly source: string;
  readonly outcome: LayerOutcome;
  /** The operator that computes it now, e.g. `bnn.BinaryConvReluAdd`. */
  readonly operator: string;
  /** What was folded into it, in order. */
  readonly folded: readonly string[];
  /** Why it is not packed, or why what follows was not folded into it. */
  readonly reasons: readonly string[];
  /** Name of the layer that has the same weights, if one stands before it. */
  readonly sharedWith: string | null;
  /** Bytes of its weights in the source, 0 where they count for another layer. */
  readonly bytesBefore: number;
  /** Of its constants in the result. */
  readonly sizes: Sizes;
}

export interface MissReport {
  readonly rewrite: string;
  /** The node that the rewrite was tried on. */
  readonly node: string;
  /** The node that stood in the way. */
  readonly culprit: string;
  readonly reason: string;
}

export interface PassReport {
  readonly name: string;
  readonly changed: boolean;
  readonly elapsedMs: number;
  /** How often each rewrite applied. */
  readonly rewrites: Readonly<Record<string, number>>;
}

export interface CompileReport {
  /** Every layer of the source model, and every other operator that holds weights, in its order. */
  readonly layers: readonly LayerReport[];
  readonly passes: readonly PassReport[];
  /** Every rewrite that did not apply to a node of the result. */
  readonly misses: readonly MissReport[];
  readonly binaryLayers: number;
  readonly weightOnlyLayers: number;
  readonly floatLayers: number;
  /** The constants that belong to no layer. */
  readonly rest: RestReport;
  /** Of all constants of the result. */
  readonly sizes: Sizes;
}

export interface RestReport {
  /** Types of the operators of the result that hold them, the largest first. */
  readonly operators: readonly string[];
  readonly bytesBefore: number;
  readonly sizes: Sizes;
}

/** The rewrites whose miss explains why a layer stays float. */
const PACKING = ['binarize-conv', 'binarize-gemm', 'matmul-to-gemm'];

function outcomeOf({ node }: LayerRecord): LayerOutcome {
  if (node.$graph === null) return 'removed';
  const variant = packedVariant(node);
  if (variant === undefined) return 'float';
  return variant.weightOnly ? 'weight-only' : 'binary';
}

function reasonsOf(record: LayerRecord, outcome: LayerOutcome, context: RewriteContext): string[] {
  const { node } = record;
  if (outcome === 'removed') return ['no graph output depends on it'];
  if (outcome === 'float') {
    const never = whyNeverPacked(node);
    if (never !== null) return [never];
    const misses = context.misses.get(node);
    return PACKING.flatMap((rewrite) => {
      const found = misses?.get(rewrite);
      return found === undefined ? [] : [`${rewrite}: ${found.reason}`];
    });
  }
  const reasons: string[] = [];
  for (const [root, misses] of context.misses) {
    if (root.$graph === null || root === node) continue;
    for (const [rewrite, { culprit, reason }] of misses) {
      if (culprit === node) reasons.push(`${rewrite} of ${root.describe()}: ${reason}`);
    }
  }
  return reasons;
}

/**
 * Collects the report at the end of a compilation.
 *
 * @param before  of the source, by the nodes that its layers had.
 * @param nodes   those nodes, in the order of the records.
 */
export function createReport(
  context: RewriteContext,
  passes: readonly PassReport[],
  before: LayerBytes,
  nodes: readonly Node[],
): CompileReport {
  const sizes = nodeSizes(context.model);
  const layers = context.layers.records.map((record, i): LayerReport => {
    const outcome = outcomeOf(record);
    return {
      name: record.name,
      source: record.source,
      outcome,
      operator: record.node.type,
      folded: record.folded,
      reasons: reasonsOf(record, outcome, context),
      ...beforeOf(nodes[i], before),
      sizes: sizes.get(record.node) ?? NO_SIZES,
    };
  });
  const misses: MissReport[] = [];
  for (const node of context.graph.nodes()) {
    for (const [rewrite, { culprit, reason }] of context.misses.get(node) ?? []) {
      misses.push({ rewrite, node: nameOf(node), culprit: nameOf(culprit), reason });
    }
  }
  const count = (outcome: LayerOutcome) => layers.filter((layer) => layer.outcome === outcome).length;
  return {
    layers,
    passes,
    misses,
    binaryLayers: count('binary'),
    weightOnlyLayers: count('weight-only'),
    floatLayers: count('float'),
    rest: restOf(sizes, layers, new Set(context.layers.records.map(({ node }) => node)), before.total),
    sizes: addSizes(sizes.values()),
  };
}

/** What the report says of a layer as it was in the source. */
export function beforeOf(
  node: Node | undefined,
  { layers, sharedWith }: LayerBytes,
): Pick<LayerReport, 'bytesBefore' | 'sharedWith'> {
  const owner = node === undefined ? undefined : sharedWith.get(node);
  return {
    sharedWith: owner === undefined ? null : nameOf(owner),
    bytesBefore: node === undefined ? 0 : (layers.get(node) ?? 0),
  };
}

function restOf(
  sizes: ReadonlyMap<Node, Sizes>,
  layers: readonly LayerReport[],
  layerNodes: ReadonlySet<Node>,
  total: number,
): RestReport {
  const byOperator = new Map<string, number>();
  for (const [node, { fileBytes }] of sizes) {
    if (!layerNodes.has(node)) byOperator.set(node.type, (byOperator.get(node.type) ?? 0) + fileBytes);
  }
  return {
    operators: [...byOperator].sort(([, a], [, b]) => b - a).map(([type]) => type),
    bytesBefore: total - layers.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0),
    sizes: subtractSizes(addSizes(sizes.values()), addSizes(layers.map((layer) => layer.sizes))),
  };
}
