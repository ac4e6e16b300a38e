/** Random initial weights. Every tensor draws from a stream of its own name, so adding a layer does not change the others. */

import { formatGigabytes, usableMemory } from '../core/machine/memory.ts';
import { Rng } from '../core/numbers/rng.ts';
import { elementCount } from '../core/tensors/shape.ts';
import { float32, type Tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';

/** Values for a weight of shape [out, in, ...kernel]. */
export type Initializer = (seed: number, name: string, shape: readonly number[]) => Tensor;

/** Products of `in` and the kernel: how many inputs one output sums. */
function fanIn(shape: readonly number[]): number {
  return elementCount(shape.slice(1));
}

/** N(0, 2 / fan-in): keeps the variance through a ReLU. Source: He et al. 2015, arXiv:1502.01852. */
export const heNormal: Initializer = (seed, name, shape) => normal(seed, name, shape, Math.sqrt(2 / fanIn(shape)));

/** N(0, 2 / (kernel area · output channels)), the fan-out form that the VGG-small of the binary literature starts from. */
export const fanOutNormal: Initializer = (seed, name, shape) => {
  const [out = 1, , ...kernel] = shape;
  return normal(seed, name, shape, Math.sqrt(2 / (elementCount(kernel) * out)));
};

/** Uniform in ±1/√fan-in: what PyTorch gives a convolution or linear layer that nobody initialised. */
export const fanInUniform: Initializer = (seed, name, shape) => uniform(seed, name, shape, 1 / Math.sqrt(fanIn(shape)));

/** Uniform in [0, 1). */
export const unitUniform: Initializer = (seed, name, shape) => {
  const rng = streamOf(seed, name);
  return generated(shape, () => rng.uniform());
};

/** N(0, deviation²). */
export function normal(seed: number, name: string, shape: readonly number[], deviation: number): Tensor {
  const rng = streamOf(seed, name);
  return generated(shape, () => rng.normal() * deviation);
}

/** Uniform in [−bound, bound). */
export function uniform(seed: number, name: string, shape: readonly number[], bound: number): Tensor {
  const rng = streamOf(seed, name);
  return generated(shape, () => (2 * rng.uniform() - 1) * bound);
}

export function filled(shape: readonly number[], value: number): Tensor {
  return float32(shape, allocate(shape).fill(value));
}

function generated(shape: readonly number[], draw: () => number): Tensor {
  const data = allocate(shape);
  for (let i = 0; i < data.length; i++) data[i] = draw();
  return float32(shape, data);
}

/** @throws {BnnError} E_SHAPE when a tensor alone would take more memory than there is. */
function allocate(shape: readonly number[]): Float32Array {
  const bytes = 4 * elementCount(shape);
  if (bytes <= usableMemory()) return new Float32Array(elementCount(shape));
  throw new BnnError(
    'E_SHAPE',
    `weights of ${shape.join(' × ')} take ${formatGigabytes(bytes)}, ${formatGigabytes(usableMemory())} of memory can be used`,
    { hint: 'choose smaller pictures, fewer classes, or another network' },
  );
}

function streamOf(seed: number, name: string): Rng {
  return new Rng(seed, ...new TextEncoder().encode(name));
}
