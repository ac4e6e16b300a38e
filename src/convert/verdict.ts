/** What became of every layer of a foreign model, and why: the table that a conversion ends with. */

import type { CompileContext } from '../compiler/context.ts';
import { LAYER_OPERATORS, type LayerRecord } from '../compiler/layers.ts';
import type { Lowered } from '../compiler/lower-to-packed.ts';
import type { LayerReport } from '../compiler/report.ts';
import { NO_SIZES, type Sizes } from '../compiler/sizes.ts';
import type { Node, Value } from '../graph/graph.ts';
import { affineSignsOf } from './affine-signs.ts';
import { type Levels, levelsOfWeights } from './weight-levels.ts';

export type VerdictKind = 'binary' | 'weight-only' | 'ternary' | 'multi-bit' | 'float' | 'removed';

export interface LayerVerdict {
  readonly name: string;
  /** `Conv`, `Gemm` or `MatMul` in the source. */
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
  const latent = [...context.graph.nodes()].filter(({ domain, op }) => domain === '' && LAYER_OPERATORS.has(op));
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
  const weight = node.requiredInput(1);
  const weights = context.evaluate(weight) ?? context.evaluate(node.input(0));
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
  const missed = context.misses.get(node)?.get('canonicalize-layer')?.reason;
  const reasons = weights.kind === 'binary' && missed !== undefined ? [missed] : outcome.reasons;
  const why = reasons[0]?.replace(/^[a-z-]+: /, '') ?? 'it has float weights';
  return data.kind === 'binary' ? `${why} (its data are signs)` : why;
}

/** Operators behind which values keep their levels, up to a factor and an offset. */
const KEEPING = new Set([
  ...[
    'Identity',
    'Reshape',
    'Flatten',
    'Transpose',
    'Squeeze',
    'Unsqueeze',
    'MaxPool',
    'Pad',
    'Concat',
    'Neg',
    'Slice',
    'Gather',
  ],
  ...['Mul', 'Div', 'Add', 'Sub', 'Clip', 'Relu'],
]);
const ROUNDING = new Set(['Round', 'Floor', 'Ceil', 'QuantizeLinear', 'DequantizeLinear']);

function dataLevels(value: Value, context: CompileContext): Levels {
  const affine = affineSignsOf(value);
  if (affine !== null) {
    const levels = [affine.offset - affine.factor, affine.offset + affine.factor].sort((a, b) => a - b);
    const what = affine.offset === 0 ? 'signs' : `${levels.join(' and ')}, and a border of zeros is neither`;
    return { kind: 'binary', bits: 1, what };
  }
  let current = value;
  for (let depth = 0; depth < 64; depth++) {
    const node = current.producer;
    if (node === null) return FLOAT;
    if (node.is('Sign')) {
      return {
        kind: 'ternary',
        bits: 2,
        what: `ternary: ${node.describe()} gives 0 at 0 (--sign-zero plus accepts +1 there)`,
      };
    }
    if (ROUNDING.has(node.type))
      return { kind: 'multi-bit', bits: bitsOf(node), what: `rounded to several levels by ${node.describe()}` };
    if (!KEEPING.has(node.type)) return FLOAT;
    const next = node.inputs.find((input) => input !== null && !context.isConstantExpression(input));
    if (next === undefined || next === null) return FLOAT;
    current = next;
  }
  return FLOAT;
}

/** Bits of what a rounding gives, when it is clipped to constants behind it; else those of a byte. */
function bitsOf(node: Node): number {
  for (const { node: clip } of node.output.uses) {
    const [low, high] = [clip.input(1)?.constant?.data[0], clip.input(2)?.constant?.data[0]];
    if (clip.is('Clip') && low !== undefined && high !== undefined)
      return Math.ceil(Math.log2(Number(high) - Number(low) + 1));
  }
  return 8;
}
