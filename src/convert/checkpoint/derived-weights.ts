/**
 * Weights that PyTorch computes from what a checkpoint keeps:
 *
 *     weight_norm      weight_g, weight_v; parametrizations.weight.original0, .original1      g · v / ‖v‖
 *     pruning          weight_orig, weight_mask                                               orig · mask
 *     spectral_norm    weight_orig, weight_u, weight_v; parametrizations.weight.original, .0._u, .0._v
 *                                                                                             W / (uᵀ W v)
 *
 * Source: torch/nn/utils/{weight_norm, prune, spectral_norm, parametrizations}.py.
 */

import { elementCount } from '../../core/tensors/shape.ts';
import { float32, type Tensor, toFloats } from '../../core/tensors/tensor.ts';

type Tensors = ReadonlyMap<string, Tensor>;

export interface DerivedWeights {
  /** With the weights in the place of what they are computed from. */
  readonly tensors: Tensors;
  readonly notes: readonly string[];
}

interface Rule {
  readonly what: string;
  /** The entry in whose place the weight comes. */
  readonly pattern: RegExp;
  /** Name of the weight, and of the other entries it is computed from. */
  readonly names: (before: string, weight: string) => { readonly weight: string; readonly others: readonly string[] };
  /** Null where the shapes do not fit. */
  readonly compute: (found: Tensor, ...others: Tensor[]) => Tensor | null;
}

const RULES: readonly Rule[] = [
  {
    what: 'weight norm',
    pattern: /^(.*?)([^.]+)_v$/,
    names: (before, weight) => ({ weight: before + weight, others: [`${before}${weight}_g`] }),
    compute: normalized,
  },
  {
    what: 'weight norm',
    pattern: /^(.*?)parametrizations\.([^.]+)\.original1$/,
    names: (before, weight) => ({
      weight: before + weight,
      others: [`${before}parametrizations.${weight}.original0`],
    }),
    compute: normalized,
  },
  {
    what: 'pruning',
    pattern: /^(.*?)([^.]+)_orig$/,
    names: (before, weight) => ({ weight: before + weight, others: [`${before}${weight}_mask`] }),
    compute: masked,
  },
  {
    what: 'spectral norm',
    pattern: /^(.*?)([^.]+)_orig$/,
    names: (before, weight) => ({
      weight: before + weight,
      others: [`${before}${weight}_u`, `${before}${weight}_v`],
    }),
    compute: spectral,
  },
  {
    what: 'spectral norm',
    pattern: /^(.*?)parametrizations\.([^.]+)\.original$/,
    names: (before, weight) => ({
      weight: before + weight,
      others: ['_u', '_v'].map((name) => `${before}parametrizations.${weight}.0.${name}`),
    }),
    compute: spectral,
  },
];

/** @param asked  names that a mapping takes as they are: from those nothing is computed. */
export function deriveWeights(tensors: Tensors, asked: readonly string[] = []): DerivedWeights {
  const derived = new Map<string, readonly [name: string, value: Tensor]>();
  const used = new Set<string>();
  const notes: string[] = [];
  for (const [name, found] of tensors) {
    if (asked.some((wanted) => name.endsWith(wanted))) continue;
    for (const { what, pattern, names, compute } of RULES) {
      const [, before, parameter] = pattern.exec(name) ?? [];
      if (before === undefined || parameter === undefined) continue;
      const { weight, others } = names(before, parameter);
      const operands = others.map((other) => tensors.get(other)).filter((other) => other !== undefined);
      if (operands.length < others.length || tensors.has(weight)) continue;
      const value = compute(found, ...operands);
      if (value === null) continue;
      derived.set(name, [weight, value]);
      for (const other of others) used.add(other);
      notes.push(`${weight} is computed from ${[name, ...others].join(' and ')} (${what})`);
      break;
    }
  }
  if (derived.size === 0) return { tensors, notes };
  const kept = [...tensors].filter(([name]) => !used.has(name));
  return { tensors: new Map(kept.map(([name, value]) => derived.get(name) ?? [name, value])), notes };
}

/** `g` has the sizes of `v` along the dimensions that are normalized one by one, usually the first, and 1 along the others. */
function normalized(v: Tensor, g: Tensor): Tensor | null {
  const isWhole = g.data.length === 1;
  const isFitting =
    g.shape.length === v.shape.length && g.shape.every((size, axis) => size === 1 || size === v.shape[axis]);
  if (!isWhole && !isFitting) return null;
  const values = toFloats(v);
  const group = isWhole ? () => 0 : groupIndex(v.shape, g.shape);
  const squares = new Float64Array(g.data.length);
  for (let i = 0; i < values.length; i++) {
    const at = group(i);
    squares[at] = (squares[at] ?? 0) + (values[i] ?? 0) ** 2;
  }
  const factors = Array.from(toFloats(g), (factor, i) => factor / Math.sqrt(squares[i] ?? 0));
  return float32(
    v.shape,
    values.map((value, i) => value * (factors[group(i)] ?? 0)),
  );
}

/** Element of a tensor of `shape` to the one of `g` that it belongs to. */
function groupIndex(shape: readonly number[], g: readonly number[]): (i: number) => number {
  return (i) => {
    let rest = i;
    let at = 0;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis] ?? 1;
      if (g[axis] !== 1) {
        at += (rest % size) * stride;
        stride *= size;
      }
      rest = Math.floor(rest / size);
    }
    return at;
  };
}

function masked(weight: Tensor, mask: Tensor): Tensor | null {
  if (weight.shape.join() !== mask.shape.join()) return null;
  const factors = toFloats(mask);
  return float32(
    weight.shape,
    toFloats(weight).map((value, i) => value * (factors[i] ?? 0)),
  );
}

/** The largest singular value of the weights as a matrix of rows × everything else, as far as training found it: uᵀ W v. */
function spectral(weight: Tensor, u: Tensor, v: Tensor): Tensor | null {
  const [left, right] = [toFloats(u), toFloats(v)];
  const rows = weight.shape[0] ?? 1;
  if (left.length !== rows || left.length * right.length !== elementCount(weight.shape)) return null;
  const values = toFloats(weight);
  let sigma = 0;
  for (let i = 0; i < values.length; i++) {
    sigma += (values[i] ?? 0) * (left[Math.floor(i / right.length)] ?? 0) * (right[i % right.length] ?? 0);
  }
  return float32(
    weight.shape,
    values.map((value) => value / sigma),
  );
}
