/** Loss and gradients of one batch: mixing, the teacher, the forward and the backward pass. */

import * as tf from '@tensorflow/tfjs-core';
import type { InputData, InputTap } from '../../backends/step-recorder.ts';
import type { Batch } from '../../data/batches/batch-maker.ts';
import { BnnError } from '../../errors.ts';
import type { Program, RunSettings } from '../program/program.ts';
import type { AskTeacher } from './cached-teacher.ts';
import { crossEntropy, type Imitation, type LossExtras, type LossResult, stackFigures } from './loss.ts';
import { type ImageSize, mixBatch, mixRng } from './mix-batch.ts';
import { type PictureData, uploadOf, uploadPictures } from './upload-pictures.ts';

export interface LearnOptions {
  readonly seed: number;
  readonly epoch: number;
  readonly labelSmoothing: number;
  readonly cutout: number;
  readonly mixup: number;
  readonly teacher: AskTeacher | undefined;
  readonly teacherWeight: number;
  readonly temperature: number;
}

/** What a step needs of a batch. */
export type Pictures = Pick<Batch, 'images' | 'labels' | 'count' | 'index' | 'bytes'> & Partial<Pick<Batch, 'whole'>>;

/** All that a step is given, on the host. */
export interface StepData {
  readonly size: ImageSize;
  readonly images: PictureData;
  /** int32[count]. */
  readonly labels: Int32Array;
  /** With mixup: labels int32[count] of the pictures mixed in, and the shares of both, a number each. */
  readonly mixed: { readonly labels: Int32Array; readonly share: Float32Array; readonly rest: Float32Array } | null;
  /** With a teacher: f32[count][classes]. */
  readonly teacherLogits: Float32Array | null;
}

export interface Learned {
  /** What `stackFigures` returns; the caller's. */
  readonly figures: tf.Tensor;
  /** By parameter; the caller's. */
  readonly gradients: ReadonlyMap<string, tf.Tensor>;
}

/** Whether the host needs the pictures as numbers: what is cut out or mixed is no byte, and a teacher looks at them. */
export function needsFloats({
  cutout,
  mixup,
  teacher,
}: Pick<LearnOptions, 'cutout' | 'mixup'> & { readonly teacher: unknown }): boolean {
  return cutout > 0 || mixup > 0 || teacher !== undefined;
}

export async function prepareStep(batch: Pictures, size: ImageSize, options: LearnOptions): Promise<StepData> {
  const { cutout, mixup, teacher } = options;
  if (batch.bytes !== undefined) {
    if (needsFloats(options)) throw new Error('internal: bytes cannot be mixed, nor shown to a teacher');
    return { size, images: batch.bytes, labels: batch.labels, mixed: null, teacherLogits: null };
  }
  const rng = mixRng(options.seed, options.epoch, batch.index);
  const { images, otherLabels, share } = mixBatch(
    batch.images,
    batch.labels,
    size,
    { cutout, mixup },
    rng,
    batch.whole,
  );
  const mixed = otherLabels && { labels: otherLabels, share: Float32Array.of(share), rest: Float32Array.of(1 - share) };
  const teacherLogits = (await teacher?.(images, batch.count)) ?? null;
  return { size, images, labels: batch.labels, mixed, teacherLogits };
}

/** What the tensors hold that `learn` passes through `input`, in the same order. */
export function inputsOf({ images, labels, mixed, teacherLogits }: StepData): InputData[] {
  const inputs: InputData[] = [uploadOf(images), labels];
  if (mixed !== null) inputs.push(mixed.labels, mixed.share, mixed.rest);
  if (teacherLogits !== null) inputs.push(teacherLogits);
  return inputs;
}

/** @param input  gets the tensors of the data before they are used, and returns them. */
export function learn(
  program: Program,
  data: StepData,
  settings: RunSettings,
  options: LearnOptions & Pick<LossExtras, 'total'>,
  input: InputTap,
): Promise<Learned> {
  const { size, mixed, teacherLogits } = data;
  const count = data.labels.length;
  return lossGradients(program, settings, () => {
    const images = uploadPictures(data.images, count, size, input);
    const labels = input(tf.tensor1d(data.labels, 'int32'));
    const mixture = mixed && {
      labels: input(tf.tensor1d(mixed.labels, 'int32')),
      share: input(tf.tensor(mixed.share, [])),
      rest: input(tf.tensor(mixed.rest, [])),
    };
    const teacher = teacherLogits && input(tf.tensor1d(teacherLogits));
    return {
      images,
      loss: (logits) =>
        crossEntropy(logits, labels, options.labelSmoothing, {
          total: options.total,
          mixed: mixture ?? undefined,
          teacher: teacher === null ? undefined : createImitation(teacher, logits.shape, options),
        }),
    };
  });
}

export interface LossOfImages {
  readonly images: tf.Tensor;
  readonly loss: (logits: tf.Tensor) => LossResult;
}

/**
 * Figures of the loss and gradients by parameter, the caller's. All else that is made meanwhile is disposed, also where a kernel throws,
 * for want of memory for one. The event loop gets turns; what it runs then may read tensors but not make any.
 */
export async function lossGradients(
  program: Program,
  settings: RunSettings,
  create: () => LossOfImages,
): Promise<Learned> {
  const engine = tf.engine();
  const kept: tf.Tensor[] = [];
  engine.startScope();
  try {
    const { images, loss: lossOf } = create();
    const { loss: figures, gradients } = await program.differentiateInTurns(images, settings, (logits) => {
      const result = lossOf(logits);
      return { loss: stackFigures(result), dlogits: result.dlogits };
    });
    kept.push(figures, ...gradients.values());
    return { figures, gradients };
  } finally {
    engine.endScope(kept);
  }
}

function createImitation(
  logits: tf.Tensor,
  shape: readonly number[],
  { teacherWeight: weight, temperature }: LearnOptions,
): Imitation {
  const wanted = shape.reduce((a, b) => a * b, 1);
  if (logits.size === wanted) return { logits: tf.reshape(logits, [...shape]), weight, temperature };
  const count = shape[0] ?? 0;
  // One number z decides as the two logits (0, z) do.
  if (wanted === count && logits.size === 2 * count) {
    const [first, second] = tf.unstack(tf.reshape(logits, [count, 2]), 1) as [tf.Tensor, tf.Tensor];
    return { logits: tf.reshape(tf.sub(second, first), [...shape]), weight, temperature };
  }
  if (wanted === 2 * count && logits.size === count) {
    return { logits: tf.stack([tf.zeros([count]), tf.reshape(logits, [count])], 1), weight, temperature };
  }
  throw new BnnError(
    'E_SHAPE',
    `the teacher gave ${logits.size} logits, the network has ${wanted} (${shape.join(' × ')})`,
    { hint: 'a teacher must know the same classes' },
  );
}
