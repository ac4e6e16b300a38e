/** The float weights behind binary ones, where the source still has them. */

import type { Value } from '../../graph/graph.ts';
import { factsOf } from '../../operators/operator-facts.ts';
import type { RewriteContext } from '../../rewriting/context.ts';
import { EVALUATORS } from '../../rewriting/exact/evaluators.ts';
import type { Exact } from '../../rewriting/exact/exact.ts';
import type { BinaryOperand } from '../../rewriting/layers/layer-operands.ts';

/**
 * The latent weight behind changes of layout, and factors.
 *
 * @param seen  values that were looked at: both operands of a product may lead to the same one.
 */
function latentOf(
  value: Value,
  context: RewriteContext,
  seen = new Set<Value>(),
): { readonly name: string; readonly exact: Exact } | null {
  const node = value.producer;
  if (node === null || seen.has(value)) return null;
  seen.add(value);
  if (node.is('Sign', 'bnn')) {
    const source = node.requiredInput(0);
    const exact = context.evaluate(source);
    return exact === null ? null : { name: source.name, exact };
  }
  if (node.is('Mul') || node.is('Div')) {
    const [a, b] = [node.requiredInput(0), node.requiredInput(1)];
    return latentOf(a, context, seen) ?? latentOf(b, context, seen);
  }
  if (factsOf(node).rearranges !== true) return null;
  const inner = latentOf(node.requiredInput(0), context, seen);
  if (inner === null) return null;
  const rest = node.inputs.slice(1).map((input) => context.evaluate(input));
  if (rest.some((exact) => exact === null)) return null;
  const inputs = [inner.exact, ...rest.filter((exact) => exact !== null)];
  const moved = EVALUATORS.get(node.type)?.(inputs, node, inner.exact.data.length) ?? null;
  return moved === null ? null : { name: inner.name, exact: moved };
}

/** Numbers whose signs are those of the weights: the source's latent weights, else ±1. */
export function latentWeights(
  { weight, weights }: BinaryOperand,
  context: RewriteContext,
): { readonly name: string; readonly data: Float64Array } {
  const latent = latentOf(weight, context);
  const isSame =
    latent !== null &&
    latent.exact.data.length === weights.data.length &&
    weights.data.every((w, i) => w === 0 || w > 0 === (latent.exact.data[i] ?? Number.NaN) >= 0);
  if (isSame) return { name: latent.name, data: latent.exact.data };
  return { name: weight.name, data: weights.data.map((w) => (w > 0 ? 1 : -1)) };
}

/** The `bnn.Sign` behind weights that are its result, or that times positive factors; null otherwise. */
export function signBehind({ weight, weights }: BinaryOperand, context: RewriteContext): Value | null {
  const node = weight.producer;
  if (node === null || node.is('Sign', 'bnn')) return node === null ? null : weight;
  if (!node.is('Mul') && !node.is('Div')) return null;
  for (const factor of node.inputs) {
    if (factor?.producer?.is('Sign', 'bnn') !== true) continue;
    const signs = context.evaluate(factor);
    const isSame =
      signs?.data.length === weights.data.length &&
      signs.data.every((s, i) => s * (weights.data[i] ?? 0) > 0 || weights.data[i] === 0);
    if (isSame) return factor;
  }
  return null;
}

/** α of α · bnn.Sign(W), when it is one number that is computed from the latent weights, as mean|W|; else null. */
export function scaleExpression(weight: Value, context: RewriteContext): Value | null {
  const node = weight.producer;
  if (node?.is('Mul') !== true) return null;
  for (const [sign, other] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const factor = node.requiredInput(other);
    if (node.requiredInput(sign).producer?.is('Sign', 'bnn') !== true || factor.constant !== null) continue;
    const isOne = factor.shape?.every((size) => size === 1) === true && factor.shape.length <= 2;
    const value = context.evaluate(factor);
    if (isOne && value !== null && value.data.length === 1 && (value.data[0] ?? 0) > 0) return factor;
  }
  return null;
}
