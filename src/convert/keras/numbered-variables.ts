/**
 * Variables of Keras 3 (`.weights.h5`), which the file numbers instead of naming them:
 *
 *     layers/conv2d_1/vars/0        the group tells the class, its attribute `name` the layer's name
 *     layers/sequential/layers/dense/vars/1        layers within layers
 *     block/conv/vars/0             attributes of a class that someone wrote
 *
 * A layer has its variables in the order in which it makes them, so their number, shapes and class tell what they are. What they do
 * not tell keeps its number.
 */

import type { Tensor } from '../../core/tensors/tensor.ts';
import type { LayerFacts } from './layer-config.ts';

export interface NamedVariable {
  /** Names of the layer and those around it, joined by `.`. */
  readonly layer: string;
  /** As in other files of Keras (`kernel`, `moving_mean` …), or the number. */
  readonly parameter: string;
}

/** What the first of three variables of a normalization is called: the file does not say which of gamma and beta it is. */
export const GAMMA_OR_BETA = 'gamma_or_beta';

const NUMBERED = /^(?:(.*)\/)?vars\/(\d+)$/;
/** Groups that only hold layers; the second in Keras 2. */
const CONTAINERS = new Set(['layers', '_layer_checkpoint_dependencies']);

/**
 * @param datasets  every tensor of a file by path.
 * @param inFile    attribute `name` of the `vars` in a group, by the group's path.
 * @param layers    what a description beside the file says; the file itself counts more.
 * @returns         by path, for numbered variables alone.
 */
export function nameVariables(
  datasets: ReadonlyMap<string, Tensor>,
  inFile: ReadonlyMap<string, string>,
  layers: readonly LayerFacts[] = [],
): ReadonlyMap<string, NamedVariable> {
  const facts = new Map(layers.map((layer) => [layer.group, layer]));
  const names = new Map([...layers.map(({ group, name }): [string, string] => [group, name]), ...inFile]);
  const groups = new Map<string, [number: number, path: string, tensor: Tensor][]>();
  for (const [path, tensor] of datasets) {
    const [, group = '', number] = NUMBERED.exec(path) ?? [];
    if (number === undefined) continue;
    const variables = groups.get(group) ?? [];
    variables.push([Number(number), path, tensor]);
    groups.set(group, variables);
  }
  const result = new Map<string, NamedVariable>();
  for (const [group, variables] of groups) {
    const layer = layerName(group, names);
    const kind = `${group.split('/').at(-1)} ${names.get(group) ?? ''}`;
    const ordered = variables.toSorted(([a], [b]) => a - b);
    const parameters = parametersOf(
      kind,
      ordered.map(([, , tensor]) => tensor.shape),
      facts.get(group)?.without ?? null,
    );
    for (const [i, [number, path]] of ordered.entries()) {
      result.set(path, { layer, parameter: parameters?.[i] ?? String(number) });
    }
  }
  return result;
}

function layerName(group: string, names: ReadonlyMap<string, string>): string {
  const parts = group.split('/');
  const named: string[] = [];
  for (const [i, part] of parts.entries()) {
    if (CONTAINERS.has(part)) continue;
    const isLayer = CONTAINERS.has(parts[i - 1] ?? '');
    named.push((isLayer ? names.get(parts.slice(0, i + 1).join('/')) : undefined) ?? part);
  }
  return named.join('.');
}

/**
 * @param kind     class and name of the layer, as far as they are known.
 * @param without  which of gamma and beta it lacks, where that is known.
 */
function parametersOf(
  kind: string,
  shapes: readonly (readonly number[])[],
  without: LayerFacts['without'],
): readonly string[] | null {
  const [first = [], second = []] = shapes;
  const count = shapes.length;
  const areVectors = shapes.every((shape) => shape.length === 1 && shape[0] === first[0]);
  const isNormalization = /batch_?norm/i.test(kind);
  if (areVectors && count === 4) return ['gamma', 'beta', 'moving_mean', 'moving_variance'];
  if (areVectors && isNormalization && count === 3) {
    const first = without === null ? GAMMA_OR_BETA : without === 'gamma' ? 'beta' : 'gamma';
    return [first, 'moving_mean', 'moving_variance'];
  }
  if (areVectors && isNormalization && count === 2) return ['moving_mean', 'moving_variance'];
  if (count === 1 && /p_?re_?lu/i.test(kind)) return ['alpha'];
  if (/separable/i.test(kind) && first.length === second.length) {
    return ['depthwise_kernel', 'pointwise_kernel', 'bias'].slice(0, count);
  }
  // One row of ones could be the kernel of a convolution or slopes; three dimensions are told by the class.
  const isKernel = first.length === 2 || first.length > 3 || /conv/i.test(kind);
  const isPlain = count === 1 || (count === 2 && second.length === 1);
  if (!isKernel || first.length < 2 || !isPlain || /embedding/i.test(kind)) return null;
  const kernel = /depthwise_?conv/i.test(kind) ? 'depthwise_kernel' : 'kernel';
  return [kernel, 'bias'].slice(0, count);
}
