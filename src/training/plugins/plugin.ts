/** What a plug-in is: parts of one's own, each a row of a table, registered by name for the runs that it is given to. */

import * as tf from '@tensorflow/tfjs-core';
import { choice, type Fields, flag, integer, number, text, type ValuesOf } from '../../core/field.ts';
import { Rng } from '../../core/numbers/rng.ts';
import type { Dataset, LoadOptions } from '../../data/dataset.ts';
import { loadDataset } from '../../data/load-dataset.ts';
import type { PlainDataset } from '../../data/sets/plain-dataset.ts';
import { BnnError } from '../../errors.ts';
import { always, slopeEstimator } from '../../estimators/from-slope.ts';
import type { EstimatorRow } from '../../estimators/table.ts';
import * as attributes from '../../graph/attribute.ts';
import { Builder } from '../../graph/builder.ts';
import type { Model } from '../../graph/model.ts';
import * as initializers from '../../zoo/initialize.ts';
import * as layers from '../../zoo/layers.ts';
import { createNetwork, type NetworkOptions } from '../../zoo/network.ts';
import type { OptimizerRow } from '../optimizers/optimizer.ts';
import type { ScheduleRow } from '../optimizers/schedule.ts';
import type { WeightTransformRow } from '../optimizers/weight-transform.ts';
import type { AugmentationRow } from './augmentation.ts';

/** A network builder. */
export interface NetworkRow<N extends string = string, F extends Fields = Fields> {
  readonly name: N;
  /** One line for lists. */
  readonly describe: string;
  /** Of the recipe. */
  readonly fields: F;
  /** The pictures that it is made for. */
  readonly input: { readonly channels: number; readonly height: number; readonly width: number };
  /** Classes unless told; 10 where this is absent. */
  readonly classes?: number;
  /** Smallest height and width that it takes; 1 unless told. */
  readonly minImageSize?: number;
  /** Whether it does what `options.precision` says, so that NAME-1w32a and NAME-fp are there too. */
  readonly hasTwins?: true;
  /** Input f32[N, channels, imageSize, imageSize], output f32[N, classes]; weights by `options.seed`. */
  build(options: NetworkOptions & { readonly name: string }, values: ValuesOf<F>): Model;
}

/** A data set: arrays of pixels and labels, or what `loadDataset` gives for another. */
export interface DatasetSourceRow<N extends string = string, F extends Fields = Fields> {
  readonly name: N;
  /** Of the recipe. */
  readonly fields: F;
  /** `imageSize` of the options chooses the size of its pictures. */
  readonly hasFreeImageSize?: true;
  load(options: LoadOptions, values: ValuesOf<F>): Promise<PlainDataset | Dataset> | PlainDataset | Dataset;
}

export interface Plugin {
  /** What messages and runs call it. */
  readonly name: string;
  readonly estimators?: readonly EstimatorRow[];
  readonly networks?: readonly NetworkRow[];
  readonly datasets?: readonly DatasetSourceRow[];
  readonly schedules?: readonly ScheduleRow[];
  readonly weightTransforms?: readonly WeightTransformRow[];
  readonly optimizers?: readonly OptimizerRow[];
  readonly augmentations?: readonly AugmentationRow[];
}

/** Called once for each run, so that what its parts remember is of that run alone. */
export type PluginFactory = (tools: PluginTools) => Plugin | Promise<Plugin>;

/** Rows as they are, with the types of the values of their fields found out. */
const define = {
  estimator: <const N extends string, const F extends Fields>(row: EstimatorRow<N, F>) => row,
  network: <const N extends string, const F extends Fields>(row: NetworkRow<N, F>) => row,
  dataset: <const N extends string, const F extends Fields>(row: DatasetSourceRow<N, F>) => row,
  schedule: <const N extends string, const F extends Fields>(row: ScheduleRow<N, F>) => row,
  weightTransform: <const N extends string, const F extends Fields>(row: WeightTransformRow<N, F>) => row,
  optimizer: <const N extends string, const F extends Fields>(row: OptimizerRow<N, F>) => row,
  augmentation: <const N extends string, const F extends Fields>(row: AugmentationRow<N, F>) => row,
};

/** What plug-ins are made with: the TensorFlow.js and the modules of the process that trains, wherever the plug-in lies. */
export const PLUGIN_TOOLS = {
  tf,
  define,
  /** Fields of recipes: default, limits, one line of help. */
  number,
  integer,
  flag,
  choice,
  text,
  slopeEstimator,
  always,
  /** Networks: an empty one, its layers, and how weights begin. */
  createNetwork,
  layers,
  initializers,
  /** Graphs node by node, and attributes of nodes. */
  Builder,
  attributes,
  /** The data sets of this project. */
  loadDataset,
  Rng,
  BnnError,
} as const;
export type PluginTools = typeof PLUGIN_TOOLS;

/** A plug-in as it is, with its types checked. */
export function definePlugin<const P extends Plugin | PluginFactory>(plugin: P): P {
  return plugin;
}
