/** What a training run is given, tells and returns. */

import type { BackendFacts } from '../../backends/backend-facts.ts';
import type { BrokenImage } from '../../data/batches/decode-pictures.ts';
import type { Dataset, LoadProgress } from '../../data/dataset.ts';
import type { ChannelStatistics } from '../../data/normalization.ts';
import type { Communicator } from '../../distributed/communicator.ts';
import type { ImageSize } from '../learning/mix-batch.ts';
import type { LoadedPlugin, PluginSource } from '../plugins/load-plugin-io.ts';
import type { Recipe } from '../recipes/recipe.ts';
import type { EpochRecord } from './history-io.ts';
import type { BestEpoch } from './training-state.ts';

export interface Opening {
  readonly recipe: Recipe;
  readonly dataset: Dataset;
  readonly backend: BackendFacts;
  readonly parameters: number;
  /** That train together. */
  readonly processes: number;
  readonly stepsPerEpoch: number;
  /** Where a resumed run continues; both 0 for a new one. */
  readonly from: { readonly epoch: number; readonly batch: number };
  /** Whether nothing is left to train. */
  readonly isComplete: boolean;
}

export interface StepProgress {
  readonly epoch: number;
  readonly epochs: number;
  readonly batch: number;
  readonly batches: number;
  /** Means over the epoch so far. */
  readonly loss: number;
  readonly top1: number;
  /** Of all processes. */
  readonly imagesPerSecond: number;
  readonly processes: number;
  readonly secondsLeft: number;
}

export interface TestedEpoch {
  /** Counts from 1. */
  readonly epoch: number;
  /** Whether it is the best so far, by the held-out pictures where there are some. */
  readonly isBest: boolean;
  /** By position among the test pictures; −1 for one that was left out. */
  readonly predictions: readonly number[];
  /** How probable the network finds its decision, 0 … 1. */
  readonly confidences: readonly number[];
  readonly labels: readonly number[];
}

/** One array of what is learned, after an epoch. */
export interface LatentWeight {
  readonly name: string;
  readonly values: Float32Array;
  /** Over one batch of training pictures without augmentation, the same ones after each epoch. */
  readonly gradient: Float32Array;
}

/** Versions, commit, processor and threads, in words. */
export type Environment = Readonly<Record<string, string | number | null>>;

export interface TrainListeners {
  readonly onData?: (progress: LoadProgress) => void;
  readonly onStart?: (opening: Opening) => void;
  /** A picture that is left out because it cannot be read, once for each (`brokenImages: 'skip'`). */
  readonly onBrokenImage?: (image: BrokenImage) => void;
  /** What of the data set is left out, and what of the network to start from is not as in its file. */
  readonly onNote?: (note: string) => void;
  readonly onStep?: (progress: StepProgress) => void;
  readonly onEpoch?: (record: EpochRecord) => void | Promise<void>;
  /** After each evaluation on the test pictures, before the epoch is recorded. */
  readonly onTested?: (tested: TestedEpoch) => Promise<void>;
  /** After each epoch, before it is recorded; costs a batch. Nothing that is learned depends on it. */
  readonly onWeights?: (weights: readonly LatentWeight[]) => Promise<void>;
}

/** What a teacher is shown, by the network that learns: (pixel / 255 − mean) / std of each channel. */
export interface ShownPictures extends ImageSize, ChannelStatistics {
  readonly classes: readonly string[];
}

/**
 * A network to imitate.
 *
 * @param images  f32[count][height][width][channels], normalized and augmented; not to be changed.
 * @returns       f32[count][classes], logits in the order of `shown.classes`.
 */
export type Teacher = (images: Float32Array, count: number, shown: ShownPictures) => Promise<Float32Array>;

export interface TrainOptions extends TrainListeners {
  /** Trains together with the other processes, which call this with the same recipe; process 0 alone reads and writes `out`. */
  readonly communicator?: Communicator | undefined;
  /** Of the backend, where the recipe leaves it open; all cores unless told. */
  readonly threads?: number | undefined;
  /** Parts of one's own, by file or as they are (`docs/extend.md`); for this run alone. */
  readonly plugins?: readonly (PluginSource | LoadedPlugin)[] | undefined;
  /** The run folder. */
  readonly out: string;
  /** Continue the run in `out`; its recipe must be the given one. */
  readonly resume?: boolean;
  /** Stops after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Whom the network imitates, where the recipe names a teacher. */
  readonly teacher?: Teacher | undefined;
  /** What the run is made with: `environment.json` in its folder, with the backend and its threads. */
  readonly environment?: Environment | undefined;
}

export interface TrainResult {
  readonly run: string;
  readonly epochs: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly testTop1: number;
  readonly best: BestEpoch | null;
  readonly interrupted: boolean;
}
