/** What a compilation did, for people and for `--explain`. */

import type { Node } from '../graph/graph.ts';
import { packedVariant } from '../operators/variants.ts';
import type { RewriteContext } from '../rewriting/context.ts';
import { type LayerRecord, whyNeverPacked } from '../rewriting/layers/layers.ts';
import { tellReason } from '../rewriting/miss.ts';
import type { SourceNames } from '../rewriting/source-names.ts';
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
  readonly reasons: readonly LayerReason[];
  /** Name of the layer that has the same weights, if one stands before it. */
  readonly sharedWith: string | null;
  /** Bytes of its weights in the source, 0 where they count for another layer. */
  readonly bytesBefore: number;
  /** Of its constants in the result. */
  readonly sizes: Sizes;
}

/** Why a layer is what it is. Nodes have the names that stand in the source, or words for where they are. */
export interface LayerReason {
  /** The rewrite that did not apply; null where none would. */
  readonly rewrite: string | null;
  /** The node that it was tried on, as `node "relu1" (Relu)`; null for the layer itself. */
  readonly of: string | null;
  /** The node that stood in the way. */
  readonly culprit: string;
  readonly reason: string;
}

/** A reason in one line. */
export function formatReason({ rewrite, of, reason }: LayerReason): string {
  if (rewrite === null) return reason;
  return of === null ? `${rewrite}: ${reason}` : `${rewrite} of ${of}: ${reason}`;
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

function reasonsOf(record: LayerRecord, outcome: LayerOutcome, context: RewriteContext): LayerReason[] {
  const { node, name } = record;
  const { names } = context;
  const plain = (reason: string): LayerReason => ({ rewrite: null, of: null, culprit: name, reason });
  if (outcome === 'removed') return [plain('no graph output depends on it')];
  if (outcome === 'float') {
    const never = whyNeverPacked(node);
    if (never !== null) return [plain(never)];
    const misses = context.misses.get(node);
    return PACKING.flatMap((rewrite) => {
      const found = misses?.get(rewrite);
      if (found === undefined) return [];
      return [{ rewrite, of: null, culprit: names.nameOf(found.culprit), reason: tellReason(found, names) }];
    });
  }
  const reasons: LayerReason[] = [];
  for (const [root, misses] of context.misses) {
    if (root.$graph === null || root === node) continue;
    for (const [rewrite, found] of misses) {
      if (found.culprit !== node) continue;
      reasons.push({ rewrite, of: names.describe(root), culprit: name, reason: tellReason(found, names) });
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
  const { names } = context;
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
      ...beforeOf(nodes[i], before, names),
      sizes: sizes.get(record.node) ?? NO_SIZES,
    };
  });
  const misses: MissReport[] = [];
  for (const node of context.graph.nodes()) {
    for (const [rewrite, found] of context.misses.get(node) ?? []) {
      const culprit = names.nameOf(found.culprit);
      misses.push({ rewrite, node: names.nameOf(node), culprit, reason: tellReason(found, names) });
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
  names: SourceNames,
): Pick<LayerReport, 'bytesBefore' | 'sharedWith'> {
  const owner = node === undefined ? undefined : sharedWith.get(node);
  return {
    sharedWith: owner === undefined ? null : names.nameOf(owner),
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
