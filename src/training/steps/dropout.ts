/**
 * Dropout (Srivastava et al., JMLR 15, 2014): while training, elements become 0 with probability `ratio` and the others are divided
 * by 1 − ratio. The mask is drawn on the host from (run.randomness, this node), so it is the same on every backend and in a resumed run.
 */

import * as tf from '@tensorflow/tfjs-core';
import { Rng } from '../../core/numbers/rng.ts';
import { scalarParameter, unsupported } from './static-shape.ts';
import type { StepBuilder } from './step.ts';

/** Sets the stream of masks apart from others that are derived from the same numbers. */
const STREAM = 0xd209;

export const dropout: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  const ratio = scalarParameter(node, 'ratio', 1, 0.5);
  if (!(ratio >= 0 && ratio < 1)) unsupported(node, `ratio = ${ratio}, expected a number in [0, 1)`);
  if (node.outputs.slice(1).some((mask) => mask.uses.length > 0)) unsupported(node, 'its mask is read');
  const slot = context.slot(node.output);
  return {
    inputs: [x],
    output: node.output,
    layout: context.layout(x),
    readsInputs: [],
    readsOutput: false,
    forward: ([x], run) => {
      const input = x as tf.Tensor;
      const [seed, ...labels] = run.randomness ?? [];
      if (!run.training || ratio === 0 || seed === undefined) return { output: tf.clone(input) };
      const rng = new Rng(seed, ...labels, STREAM, slot);
      const kept = 1 / (1 - ratio);
      const skipped = (run.place?.from ?? 0) * (input.size / (input.shape[0] ?? 1));
      for (let i = 0; i < skipped; i++) rng.uniform();
      const mask = tf.tensor(
        Float32Array.from({ length: input.size }, () => (rng.uniform() < ratio ? 0 : kept)),
        input.shape,
      );
      return { output: tf.mul(input, mask), saved: [mask] };
    },
    backward: ({ dy, saved: [mask] }) => [mask === undefined ? tf.clone(dy) : tf.mul(dy, mask)],
  };
};
