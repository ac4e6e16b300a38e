/**
 * Weights of Keras and Larq (`.h5`) under the names and in the layouts of PyTorch, which is what mappings and the networks of the
 * zoo speak:
 *
 *     conv/conv/kernel:0            [H, W, I, O]  ->  conv.weight        [O, I, H, W]
 *     conv/conv/depthwise_kernel:0  [H, W, C, M]  ->  conv.weight        [C·M, 1, H, W]
 *     sep/sep/depthwise_kernel:0, pointwise_kernel:0  [1, 1, C·M, O]
 *                                                 ->  sep.weight, sep.pointwise.weight  [O, C·M, 1, 1]
 *     dense/dense/kernel:0          [I, O]        ->  dense.weight       [O, I]
 *     bn/bn/gamma:0 beta:0 moving_mean:0 moving_variance:0
 *                                                 ->  bn.weight bn.bias bn.running_mean bn.running_var
 *
 * In files of Keras 3 (`.weights.h5`) the variables have numbers: `numbered-variables.ts` finds their names first. A quantizer of Larq leaves no trace in the file: what it holds are the latent weights.
 */

import { permute } from '../../core/tensors/permute.ts';
import { elementCount } from '../../core/tensors/shape.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { H5Thread } from './h5-thread.ts';
import type { LayerFacts } from './layer-config.ts';
import { nameVariables } from './numbered-variables.ts';

export interface KerasTensor {
  /** As in the file. */
  readonly path: string;
  readonly shape: readonly number[];
  readonly tensor: Tensor;
}

export interface KerasCheckpoint {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The same with what they are in the file. */
  readonly entries: ReadonlyMap<string, KerasTensor>;
}

/**
 * @param layers  what is known of them beside the file.
 * @throws {BnnError} as `H5Thread.read`.
 */
export async function readKerasCheckpoint(
  bytes: Uint8Array,
  at?: string,
  layers: readonly LayerFacts[] = [],
): Promise<KerasCheckpoint> {
  const thread = new H5Thread();
  try {
    const { tensors, names } = await thread.read(bytes, at);
    return fromKeras(tensors, names, layers);
  } finally {
    await thread.close();
  }
}

/** Beside the weights, a saved model has the state of its optimizer. */
const OTHERS = /^optimizer/;
const MODEL = /^model_weights\//;

/** @param names, layers  of layers whose variables are numbered: see `nameVariables`. */
export function fromKeras(
  datasets: ReadonlyMap<string, Tensor>,
  names: ReadonlyMap<string, string> = new Map(),
  layers: readonly LayerFacts[] = [],
): KerasCheckpoint {
  const entries = new Map<string, KerasTensor>();
  const numbered = nameVariables(datasets, names, layers);
  for (const [path, found] of datasets) {
    if (OTHERS.test(path)) continue;
    const { layer, parameter } = numbered.get(path) ?? partsOf(path);
    const translated = TRANSLATIONS.get(parameter);
    const name = `${layer}.${translated?.name ?? parameter}`;
    // Two models in one file: the first keeps the short name.
    const unique = entries.has(name) ? path : name;
    entries.set(unique, { path, shape: found.shape, tensor: translated?.arrange?.(found) ?? found });
  }
  return { tensors: new Map(Array.from(entries, ([name, { tensor }]) => [name, tensor])), entries };
}

/**
 * `model_weights/conv/conv/kernel:0` is the `kernel` of `conv`: the group of a layer and the name of the variable repeat it. With Keras 3
 * names of networks may stand between the two: `conv/sequential/conv/kernel`.
 */
function partsOf(path: string): { readonly layer: string; readonly parameter: string } {
  const parts = path.replace(MODEL, '').replace(/:\d+$/, '').split('/');
  const parameter = parts.pop() ?? '';
  const [group = '', ...scopes] = parts;
  const at = scopes.indexOf(group);
  return { layer: (at < 0 ? parts : scopes.slice(at)).join('.'), parameter };
}

interface Translation {
  readonly name: string;
  readonly arrange?: (tensor: Tensor) => Tensor;
}

const TRANSLATIONS: ReadonlyMap<string, Translation> = new Map(
  Object.entries<Translation>({
    kernel: { name: 'weight', arrange: kernel },
    depthwise_kernel: { name: 'weight', arrange: depthwiseKernel },
    pointwise_kernel: { name: 'pointwise.weight', arrange: kernel },
    bias: { name: 'bias' },
    gamma: { name: 'weight' },
    beta: { name: 'bias' },
    moving_mean: { name: 'running_mean' },
    moving_variance: { name: 'running_var' },
    alpha: { name: 'weight', arrange: slopes },
  }),
);

/** Spatial sizes, inputs, outputs -> outputs, inputs, spatial sizes. */
function kernel(tensor: Tensor): Tensor {
  const rank = tensor.shape.length;
  if (rank < 2) return tensor;
  return permute(tensor, [rank - 1, rank - 2, ...Array.from({ length: rank - 2 }, (_, axis) => axis)]);
}

/** Spatial sizes, channels, outputs of each -> outputs, 1, spatial sizes. */
function depthwiseKernel(tensor: Tensor): Tensor {
  const rank = tensor.shape.length;
  if (rank < 3) return tensor;
  const spatial = tensor.shape.slice(0, -2);
  const [channels = 1, multiplier = 1] = tensor.shape.slice(-2);
  const axes = [rank - 2, rank - 1, ...spatial.keys()];
  return { ...permute(tensor, axes), shape: [channels * multiplier, 1, ...spatial] };
}

/** Those of PReLU with shared spatial axes: [1, 1, C]. */
function slopes(tensor: Tensor): Tensor {
  return { ...tensor, shape: [elementCount(tensor.shape)] };
}
