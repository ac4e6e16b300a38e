/** What one operator of a latent graph becomes in a training program. */

import type * as tf from '@tensorflow/tfjs-core';
import type { Estimator } from '../../estimators/estimator.ts';
import type { Node, Value } from '../../graph/graph.ts';
import type { TrainingPrecision } from '../../kernels/convolution.ts';

/**
 * How a value lies in memory. ONNX is NCHW and OIHW; inside a program activations of rank 4 are NHWC and convolution weights
 * HWIO, the layouts of tfjs. `channel` is [C, 1, 1] in the graph and [C] here. Everything else is as in the graph.
 */
export type Layout = 'plain' | 'nhwc' | 'hwio' | 'channel';

/** What a pass through the program knows. */
export interface Run {
  readonly training: boolean;
  readonly weightEstimator: Estimator;
  readonly activationEstimator: Estimator;
  /** While training, weights pass through bnn.Sign as they are, and so do their gradients. */
  readonly relaxWeights?: boolean | undefined;
  /** What a batch leaves of running statistics, in place of what each normalization says; 0 … 1. */
  readonly statisticsKeep?: number | undefined;
  /** What random steps draw from, e.g. [seed, epoch, batch]; without it, Dropout keeps everything. */
  readonly randomness?: readonly number[] | undefined;
  /** Where these pictures are a part of a batch: what fraction of it stands before them, so that each draws the same as in the whole. */
  readonly place?: { readonly from: number; readonly count: number } | undefined;
  /** Adds up numbers of all parts of a batch, in place, where its statistics are taken over all of them. */
  readonly sumUp?: ((values: Float64Array) => void) | undefined;
  /** Told each gradient of a parameter as soon as nothing more is added to it; the tensor stays the program's. */
  readonly onGradient?: ((name: string, gradient: tf.Tensor) => void) | undefined;
  /** Shown what a binary layer is about to binarize; the tensor stays the program's. */
  readonly observe?: ((layer: string, x: tf.Tensor) => void) | undefined;
  /** Replaces a buffer (running statistics); the program takes ownership of the tensor. */
  setBuffer(slot: number, value: tf.Tensor): void;
}

export interface BackwardArguments {
  /** Gradient of the output; owned by the program. */
  readonly dy: tf.Tensor;
  /** The inputs, where `readsInputs` names them; others may be disposed. */
  readonly inputs: readonly tf.Tensor[];
  /** Shapes of all inputs. */
  readonly inputShapes: readonly (readonly number[])[];
  /** The output; may be disposed unless `readsOutput`. */
  readonly output: tf.Tensor;
  /** What `forward` saved. */
  readonly saved: readonly tf.Tensor[];
  /** Whether the gradient of an input is wanted. */
  readonly needs: readonly boolean[];
  /** At the positions of `addsTo`: the gradient of that input from other steps so far, where there is one; owned by the program. */
  readonly sums: readonly (tf.Tensor | undefined)[];
  readonly run: Run;
}

export interface Step {
  /** The values that the step reads, in the order of `forward`. */
  readonly inputs: readonly Value[];
  readonly output: Value;
  readonly layout: Layout;
  /** Positions of the inputs that `backward` reads. */
  readonly readsInputs: readonly number[];
  readonly readsOutput: boolean;
  /** Whether the output lies where the input does. */
  readonly sharesMemory?: boolean;
  /** Numbers for each picture that both passes need besides inputs and outputs. */
  readonly scratch?: number;
  /** Positions of the inputs to whose `sums` `backward` adds its gradient itself. */
  readonly addsTo?: readonly number[];
  forward(
    inputs: readonly tf.Tensor[],
    run: Run,
  ): { readonly output: tf.Tensor; readonly saved?: readonly tf.Tensor[] };
  /**
   * The output of a training pass once more, from the inputs and what was saved: for steps whose output is cheaper to compute twice
   * than to keep until the backward pass. Reads no other inputs than `backward` does, and parameters.
   */
  recompute?(inputs: readonly tf.Tensor[], saved: readonly tf.Tensor[]): tf.Tensor;
  /** Gradients of the inputs, null where not wanted or zero. The program owns them afterwards. */
  backward(args: BackwardArguments): readonly (tf.Tensor | null)[];
}

/** What the builder of a step may ask about the program so far. */
export interface BuildContext {
  /** Layout of a value that is already planned. */
  layout(value: Value): Layout;
  /** Slot of a value. */
  slot(value: Value): number;
  /** False on backends whose pooling and convolution kernels know only the paddings VALID and SAME. */
  readonly explicitPadding: boolean;
  /** What convolutions with binary weights multiply in training. */
  readonly precision: TrainingPrecision;
}

export type StepBuilder = (node: Node, context: BuildContext) => Step;

/** Several nodes that one step computes. */
export interface Fusion {
  /** In whose place the step stands: all that it reads is computed by then. */
  readonly at: Node;
  /** The others. */
  readonly absorbed: readonly Node[];
  readonly build: (context: BuildContext) => Step;
}
