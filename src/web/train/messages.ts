/** What the page of `bnn web --train` and its worker tell each other, and what the command tells both. */

import type { Recipe } from '../../training/recipes/recipe.ts';

/** `training.json`. */
export interface TrainingFacts {
  /** Of bnn-toolchain, for the exported file. */
  readonly version: string;
  /** What the page begins with; `epochs` and `lr` may be changed there. */
  readonly recipe: Recipe;
  readonly classes: readonly string[];
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Of the exported file, as `bnn-train` writes it. */
  readonly preprocessing: string;
  /** Pictures and labels to learn from, pictures and labels to test on. */
  readonly files: readonly string[];
  /** How many pictures there are. */
  readonly pictures: { readonly train: number; readonly test: number };
}

export type Request =
  | { readonly type: 'start'; readonly epochs: number; readonly lr: number; readonly pictures: number }
  /** After the step under way; what was learned is evaluated and exported. */
  | { readonly type: 'stop' }
  /** A picture to test on. */
  | { readonly type: 'picture'; readonly index: number };

export type Reply =
  | { readonly type: 'ready'; readonly threads: number; readonly facts: TrainingFacts }
  | { readonly type: 'loading'; readonly bytes: number }
  | {
      readonly type: 'step';
      /** From 0; steps of an epoch. */
      readonly epoch: number;
      readonly step: number;
      readonly steps: number;
      /** Mean over the batch. */
      readonly loss: number;
      /** Share of the batch, 0 … 1. */
      readonly accuracy: number;
      /** Since the first step, evaluations left out. */
      readonly seconds: number;
      readonly images: number;
    }
  /** `epoch`: how many are done, a fraction where it was stopped. */
  | { readonly type: 'epoch'; readonly epoch: number; readonly top1: number }
  | {
      readonly type: 'done';
      readonly isStopped: boolean;
      readonly top1: number;
      /** The packed ONNX file. */
      readonly model: Uint8Array;
      /** Of the same network with float weights. */
      readonly floatBytes: number;
    }
  | { readonly type: 'picture'; readonly index: number; readonly pixels: Uint8Array; readonly label: string }
  | {
      readonly type: 'problem';
      readonly message: string;
      readonly at: string | undefined;
      readonly hint: string | undefined;
    };
