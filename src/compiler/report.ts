/** What a compilation did, for people and for `--explain`. */

import { LAYER_VARIANTS } from '../operators/variants.ts';
import type { CompileContext } from './context.ts';
import { type LayerRecord, nameOf } from './layers.ts';
import { addSizes, NO_SIZES, nodeSizes, type Sizes } from './sizes.ts';

export type LayerOutcome = 'binary' | 'weight-only' | 'float' | 'int8' | 'removed';

export interface LayerReport {
  /** Name of the node in the source model. */
  readonly name: string;
  /** `Conv`, `Gemm` or `MatMul`. */
  readonly source: string;
  readonly outcome: LayerOutcome;
  /** The operator that computes it now, e.g. `bnn.BinaryConvReluAdd`. */
  readonly operator: string;
  /** What was folded into it, in order. */
  readonly folded: readonly string[];
  /** Why it is not packed, or why what follows was not folded into it. */
  readonly reasons: readonly string[];
  /** Bytes of its weights in the source. */
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
  /** Every Conv, Gemm and MatMul of the source model, in its order. */
  readonly layers: readonly LayerReport[];
  readonly passes: readonly PassReport[];
  /** Every rewrite that did not apply to a node of the result. */
  readonly misses: readonly MissReport[];
  readonly binaryLayers: number;
  readonly weightOnlyLayers: number;
  readonly floatLayers: number;
  /** Of all constants of the result. */
  readonly sizes: Sizes;
}

/** The rewrites whose miss explains why a layer stays float. */
const PACKING = ['binarize-conv', 'binarize-gemm', 'matmul-to-gemm'];

function outcomeOf({ node }: LayerRecord): LayerOutcome {
  if (node.$graph === null) return 'removed';
  const variant = node.domain === 'bnn' ? LAYER_VARIANTS.get(node.op) : undefined;
  if (variant === undefined) return 'float';
  return variant.weightOnly ? 'weight-only' : 'binary';
}

function reasonsOf(record: LayerRecord, outcome: LayerOutcome, context: CompileContext): string[] {
  const { node } = record;
  if (outcome === 'removed') return ['no graph output depends on it'];
  if (outcome === 'float') {
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
 * @param bytesBefore  of each record, see `weightBytes`.
 */
export function createReport(
  context: CompileContext,
  passes: readonly PassReport[],
  bytesBefore: readonly number[],
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
      bytesBefore: bytesBefore[i] ?? 0,
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
    sizes: addSizes(sizes.values()),
  };
}
