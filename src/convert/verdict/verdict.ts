/** What became of every layer of a foreign model, and why: the table that a conversion ends with. */

import type { Lowered } from '../../compiler/lower-to-packed.ts';
import { beforeOf, type LayerReport } from '../../compiler/report.ts';
import { type LayerBytes, NO_SIZES, type Sizes } from '../../compiler/sizes.ts';
import type { Node } from '../../graph/graph.ts';
import { factsOf } from '../../operators/operator-facts.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { isLayer, type LayerRecord, whyNeverPacked } from '../../rewriting/layers/layers.ts';
import { tellReason } from '../../rewriting/miss.ts';
import { LOWER_EINSUM } from '../rewrites/foreign/lower-einsum.ts';
import { CANONICALIZE_LAYER } from '../rewrites/layers/canonicalize-layer.ts';
import { dataLevels } from './data-levels.ts';
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
  /** Name of the layer that has the same weights, if one stands before it. */
  readonly sharedWith: string | null;
  /** Bytes of the weights in the source, 0 where they count for another layer. */
  readonly bytesBefore: number;
  /** Of its constants in the packed model: weights, bias, and what was folded into it. */
  readonly sizes: Sizes;
  /** Why it is not binary; empty when it is. */
  readonly reason: string;
}

/**
 * Judges every layer of the source.
 *
 * @param before  of the source in standard form, by the nodes that its layers had.
 * @param nodes   those nodes, in the order of the records.
 */
export function judgeLayers(
  context: RewriteContext,
  lowered: Lowered,
  before: LayerBytes,
  nodes: readonly Node[],
): LayerVerdict[] {
  const latent = [...context.graph.nodes()].filter(isLayer);
  const outcomes = new Map(latent.map((node, i) => [node, lowered.report.layers[i]]));
  return context.layers.records.map((record, i) =>
    judge(record, outcomes.get(record.node), beforeOf(nodes[i], before, context.names), context),
  );
}

function judge(
  record: LayerRecord,
  outcome: LayerReport | undefined,
  before: Pick<LayerVerdict, 'bytesBefore' | 'sharedWith'>,
  context: RewriteContext,
): LayerVerdict {
  const { name, source, node } = record;
  const base = { name, source, ...before };
  if (node.$graph === null || outcome === undefined || outcome.outcome === 'removed') {
    const reason = 'no output depends on it, or it was folded into a constant';
    return { ...base, kind: 'removed', weightBits: 0, dataBits: 0, shape: null, sizes: NO_SIZES, reason };
  }
  const never = whyNeverPacked(node);
  if (never !== null && !MULTIPLIES.has(node.type)) {
    const missed = node.is('Einsum') ? context.misses.get(node)?.get(LOWER_EINSUM.name) : undefined;
    const reason = missed === undefined ? never : tellReason(missed, context.names);
    return { ...base, ...storedWeights(node, context), sizes: outcome.sizes, reason };
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
  const reason = never ?? reasonOf(kind, node, levels, data, outcome, context);
  return { ...base, kind, weightBits: levels.bits, dataBits: data.bits, shape, sizes: outcome.sizes, reason };
}

/** Layers whose operands are judged by their levels, also where they are never packed. */
const MULTIPLIES = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** What an operator that is never packed holds: its largest constant. */
function storedWeights(
  node: Node,
  context: RewriteContext,
): Pick<LayerVerdict, 'kind' | 'weightBits' | 'dataBits' | 'shape'> {
  let largest: { readonly bits: number; readonly bytes: number; readonly shape: readonly number[] } | null = null;
  const { packedInput, isInteger } = factsOf(node);
  for (const [index, input] of node.inputs.entries()) {
    const stored = input?.producer?.is('DequantizeLinear') === true ? input.producer.input(0) : input;
    const constant = stored?.constant ?? null;
    const bytes = constant?.data.byteLength ?? 0;
    if (constant === null || bytes <= (largest?.bytes ?? 0)) continue;
    const isPacked = packedInput?.index === index;
    const bits = isPacked ? node.int(packedInput.attribute, packedInput.bits) : 8 * constant.data.BYTES_PER_ELEMENT;
    largest = { bits, bytes, shape: constant.shape };
  }
  const [first] = node.inputs;
  const data = node.is('Gather') || first == null ? FLOAT : dataLevels(first, context);
  const dataBits = isInteger === true ? 8 : data.bits;
  const weightBits = largest?.bits ?? 32;
  return { kind: weightBits <= 8 ? 'multi-bit' : 'float', weightBits, dataBits, shape: largest?.shape ?? null };
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
  context: RewriteContext,
): string {
  if (weights.kind === 'ternary' || weights.kind === 'multi-bit') return `its weights are ${weights.what}`;
  if (kind === 'ternary' || kind === 'multi-bit') return `its data are ${data.what}`;
  const why = whyFloat(node, weights, data, outcome, context);
  return data.kind === 'binary' ? `${why} (its data are signs)` : why;
}

function whyFloat(node: Node, weights: Levels, data: Levels, outcome: LayerReport, context: RewriteContext): string {
  const isComputed = [0, 1].every((i) => !context.isConstantExpression(node.input(i)));
  if (isComputed && !node.is('Conv')) return 'both of its operands are computed, it has no weights';
  if (weights.kind === 'float' && data.kind === 'float' && !isComputed)
    return 'neither its weights nor its data are signs';
  const missed = context.misses.get(node)?.get(CANONICALIZE_LAYER.name);
  if (weights.kind === 'binary' && missed !== undefined && missed.code !== 'canonical') {
    return tellReason(missed, context.names);
  }
  return outcome.reasons[0]?.reason ?? 'it has float weights';
}
