/**
 * The heavy operations of training, as kernels that a backend may have. Each row is a kernel of tfjs with its name, and the composition of
 * plain tfjs operations that runs where the backend has no such kernel; the composition's types are those of the kernel, and its results
 * what a kernel's are compared with. Activations are NHWC, so channels are the last dimension. Callers own what is returned.
 *
 * A new kernel is a row here, a row in the table of each backend that has it, and a case in `test/kernels/cases.ts`.
 */

import type * as tf from '@tensorflow/tfjs-core';
import {
  batchNormGrad,
  batchNormGradApply,
  batchNormGradSums,
  batchNormInfer,
  batchNormMoments,
  batchNormTrain,
} from './batch-norm.ts';
import { binaryConv, binaryConvFilterGrad, binaryConvInputGrad } from './binary-convolution.ts';
import { clipGrad } from './clip.ts';
import { conv, convFilterGrad, convInputGrad } from './convolution.ts';
import { meanMagnitude, meanMagnitudeGrad } from './magnitude.ts';
import { normalizeBytes } from './normalize-bytes.ts';
import { adam, sgdMomentum } from './optimizers.ts';
import { sign, signGrad, signGradDsq, signGradTable } from './sign.ts';

export const KERNELS = {
  BnnNormalizeBytes: normalizeBytes,
  BnnSign: sign,
  BnnSignGrad: signGrad,
  BnnSignGradTable: signGradTable,
  BnnSignGradDsq: signGradDsq,
  BnnClipGrad: clipGrad,
  BnnMeanMagnitude: meanMagnitude,
  BnnMeanMagnitudeGrad: meanMagnitudeGrad,
  BnnBatchNormTrain: batchNormTrain,
  BnnBatchNormInfer: batchNormInfer,
  BnnBatchNormGrad: batchNormGrad,
  BnnBatchNormMoments: batchNormMoments,
  BnnBatchNormGradSums: batchNormGradSums,
  BnnBatchNormGradApply: batchNormGradApply,
  BnnConv: conv,
  BnnConvInputGrad: convInputGrad,
  BnnConvFilterGrad: convFilterGrad,
  BnnBinaryConv: binaryConv,
  BnnBinaryConvInputGrad: binaryConvInputGrad,
  BnnBinaryConvFilterGrad: binaryConvFilterGrad,
  BnnSgdMomentum: sgdMomentum,
  BnnAdam: adam,
} as const;

type Contract = typeof KERNELS;
export type KernelName = keyof Contract;
export type InputsOf<N extends KernelName> = Parameters<Contract[N]>[0];
export type ResultsOf<N extends KernelName> = ReturnType<Contract[N]>;
/** One object, or nothing for a kernel without attributes. */
export type AttributesOf<N extends KernelName> = Parameters<Contract[N]> extends [unknown, ...infer A] ? A : never;

/** Tensors as a backend sees them. */
type Infos<T> = T extends tf.Tensor ? tf.TensorInfo : T extends undefined ? undefined : { [K in keyof T]: Infos<T[K]> };

/** A kernel as a backend has it. */
export type BackendKernel<N extends KernelName, Backend> = (
  backend: Backend,
  inputs: Infos<InputsOf<N>>,
  ...attributes: AttributesOf<N>
) => Infos<ResultsOf<N>>;

export type KernelTable<Backend> = { readonly [N in KernelName]?: BackendKernel<N, Backend> };

/** Which kernels a backend has, and for each that it leaves out, why. */
export interface KernelSet<Backend> {
  readonly table: KernelTable<Backend>;
  readonly leavesOut: Readonly<Partial<Record<KernelName, string>>>;
}

/** A set that accounts for every kernel of the contract: `kernelSet<Backend>()(table, leavesOut)`. */
export function kernelSet<Backend>() {
  return <const T extends KernelTable<Backend>>(
    table: T,
    leavesOut: Readonly<Record<Exclude<KernelName, keyof T>, string>>,
  ): KernelSet<Backend> => ({ table, leavesOut });
}

/** The set of a backend for which compositions are good enough. */
export function noKernels(reason: string): KernelSet<never> {
  const names = Object.keys(KERNELS) as KernelName[];
  return { table: {}, leavesOut: Object.fromEntries(names.map((name) => [name, reason])) };
}
