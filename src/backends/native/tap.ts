/** Who listens to what a native backend is asked to do, if anybody does. */

import type * as tf from '@tensorflow/tfjs-core';
import type { NativeAddon } from './addon.ts';

/** A call of a kernel that tfjs-backend-cpu has. */
export type InheritedCall = Parameters<tf.KernelFunc>[0];
export type KernelResult = tf.TensorInfo | tf.TensorInfo[];

export interface BackendTap {
  /** In place of the addon itself. */
  readonly addon: NativeAddon;
  allocates(values: Float32Array): void;
  /** Whether an array that nobody needs any longer is kept nevertheless; it is free else. */
  keeps(values: Float32Array): boolean;
  /** Somebody is told what is in an array. */
  read(values: object): void;
  inherited(kernel: tf.KernelConfig, call: InheritedCall): KernelResult;
}
