/** What became of every layer of a foreign model, and why: the table that a conversion ends with. */

import type { CompileContext } from '../compiler/context.ts';
import { INTEGER_LAYERS, isLayer, type LayerRecord } from '../compiler/layers.ts';
import type { Lowered } from '../compiler/lower-to-packed.ts';
import type { LayerReport } from '../compiler/report.ts';
import { NO_SIZES, type Sizes } from '../compiler/sizes.ts';
import type { Node } from '../graph/graph.ts';
import { dataLevels } from './data-levels.ts';
import { CANONICAL } from './rewrites/canonicalize-layer.ts';
import { type Levels, levelsOfWeights } from './weight-levels.ts';

export type VerdictKind = 'binary' | 'weight-only' | 'ternary' | 'multi-bit' | 'float' | 'removed';

export interface LayerVerdict {
  readonly name: string;
  /** The operator in the source: `Conv`, `Gemm`, `MatMul`, or one that is never packed. */
  readonly source: string;
  readonly kind: VerdictKind;
  /** Bits per weight; a ternary one takes 2. */
  readonly weightBits: number;
  /** Bits per activation that goes in; 32 for floats. */
  readonly dataBits: number;
  /** Shape of the weights, null when they are computed. */
  readonly shape: readonly number[] | null;
  /** Bytes of the weights in the source. */
  readonly bytesBefore: number;
  /** Of its constants in the packed model: weights, bias, and what was folded into it. */
  readonly sizes: Sizes;
  /** Why it is not binary; empty when it is. */
  readonly reason: string;
}

/**
 * Judges every layer of the source.
 *
 * @param bytesBefore  by the name of the source layer's record, in the order of the records.
 */
export function judgeLayers(context: CompileContext, lowered: Lowered, bytesBefore: readonly number[]): LayerVerdict[] {
  const latent = [...context.graph.nodes()].filter(isLayer);
  const outcomes = new Map(latent.map((node, i) => [node, lowered.report.layers[i]]));
  return context.layers.records.map((record, i) =>
    judge(record, outcomes.get(record.node), bytesBefore[i] ?? 0, context),
  );
}

function judge(
  record: LayerRecord,
  outcome: LayerReport | undefined,
  bytesBefore: number,
  context: CompileContext,
): LayerVerdict {
  const { name, source, node } = record;
  const base = { name, source, bytesBefore };
  if (node.$graph === null || outcome === undefined || outcome.outcome === 'removed') {
    const reason = 'no output depends on it, or it was folded into a constant';
    return { ...base, kind: 'removed', weightBits: 0, dataBits: 0, shape: null, sizes: NO_SIZES, reason };
  }
  if (INTEGER_LAYERS.has(node.type)) {
    const shape = context.evaluate(node.input(node.op.startsWith('QLinear') ? 3 : 1))?.shape ?? null;
    const reason = 'integer operators are not packed: give the model from before it was quantized';
    return { ...base, kind: 'multi-bit', weightBits: 8, dataBits: 8, shape, sizes: outcome.sizes, reason };
  }
  const weights = context.evaluate(node.input(1)) ?? context.evaluate(node.input(0));
  const shape = weights?.shape ?? null;
  const data = dataLevels(node.requiredInput(0), context);
  if (outcome.outcome === 'binary' || outcome.outcome === 'weight-only') {
    const dataBits = outcome.outcome === 'binary' ? 1 : data.bits;
    const isBinary = outcome.outcome === 'binary';
    const kind = isBinary ? 'binary' : data.kind === 'ternary' || data.kind === 'multi-bit' ? data.kind : 'weight-only';
    const reason = isBinary ? '' : `its data are ${data.what}`;
    return { ...base, kind, weightBits: 1, dataBits, shape, sizes: outcome.sizes, reason };
  }
  const isLast = node.is('MatMul') || (node.is('Gemm') && node.int('transB', 0) === 0);
  const levels = weights === null ? FLOAT : levelsOfWeights(weights, isLast);
  const kind = kindOf(levels, data);
  const reason = reasonOf(kind, node, levels, data, outcome, context);
  return { ...base, kind, weightBits: levels.bits, dataBits: data.bits, shape, sizes: outcome.sizes, reason };
}

const FLOAT: Levels = { kind: 'float', bits: 32, what: 'floats' };

function kindOf(weights: Levels, data: Levels): VerdictKind {
  if (weights.kind === 'multi-bit' || weights.kind === 'ternary') {
    return data.kind === 'multi-bit' ? 'multi-bit' : weights.kind;
  }
  if (weights.kind === 'float') return 'float';
  return data.kind === 'ternary' || data.kind === 'multi-bit' ? data.kind : 'float';
}

function reasonOf(
  kind: VerdictKind,
  node: Node,
  weights: Levels,
  data: Levels,
  outcome: LayerReport,
  context: CompileContext,
): string {
  if (weights.kind === 'ternary' || weights.kind === 'multi-bit') return `its weights are ${weights.what}`;
  if (kind === 'ternary' || kind === 'multi-bit') return `its data are ${data.what}`;
  const why = whyFloat(node, weights, data, outcome, context);
  return data.kind === 'binary' ? `${why} (its data are signs)` : why;
}

function whyFloat(node: Node, weights: Levels, data: Levels, outcome: LayerReport, context: CompileContext): string {
  if (node.is('ConvTranspose')) return 'transposed convolutions are not packed';
  if (node.domain === 'com.microsoft') {
    return `${node.op} is an operator of onnxruntime: give the model from before onnxruntime optimized it`;
  }
  const isComputed = [0, 1].every((i) => !context.isConstantExpression(node.input(i)));
  if (isComputed && !node.is('Conv')) return 'both of its operands are computed, it has no weights';
  if (weights.kind === 'float' && data.kind === 'float' && !isComputed)
    return 'neither its weights nor its data are signs';
  const misses = context.misses.get(node);
  if (node.is('Einsum')) return misses?.get('lower-einsum')?.reason ?? 'it is no product of matrices';
  const missed = misses?.get('canonicalize-layer')?.reason;
  const reasons =
    weights.kind === 'binary' && missed !== undefined && missed !== CANONICAL ? [missed] : outcome.reasons;
  return reasons[0]?.replace(/^[a-z-]+: /, '') ?? 'it has float weights';
}
