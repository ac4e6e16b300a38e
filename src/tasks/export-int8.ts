/** `bnn-export --int8`: the first layer of a packed network in 8-bit integers, with ranges from training pictures. */

import { findStem, quantizeStem, stemModel } from '../compiler/quantize-stem.ts';
import type { CompileReport } from '../compiler/report.ts';
import { addSizes, nodeSizes, type Sizes } from '../compiler/sizes.ts';
import { NO_DATASET, type Preprocessing } from '../core/pictures/preprocessing.ts';
import { createBatches } from '../data/batches/batches.ts';
import type { Dataset, LoadOptions } from '../data/dataset.ts';
import { hasFreeImageSize, loadDataset } from '../data/load-dataset.ts';
import { type Normalization, resolveNormalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { calibrateChannels, type Pictures } from '../inference/calibrate-channels.ts';
import { toChannelsFirst } from '../inference/image-input.ts';
import type { ModelSource } from '../inference/model-source-io.ts';
import { frameOfModel } from '../inference/picture-form.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { nameOf } from '../rewriting/layers/layers.ts';
import type { LoadedPlugin, PluginSource } from '../training/plugins/load-plugin-io.ts';
import { readRunData } from '../training/recipes/run-data-io.ts';
import { preprocessingOf } from './describe-pictures.ts';
import { openDatasets } from './open-datasets.ts';

/** Training pictures that tell the ranges, and those of them that decisions are compared on. */
const PICTURES = 256;
const COMPARED = 64;
const BATCH = 16;

export interface Int8Options {
  readonly dataset?: string | undefined;
  /** Folder or archive of the data set. */
  readonly data?: string | undefined;
  readonly normalize?: Normalization | undefined;
  /** Parts of one's own, where the data set is among them. */
  readonly plugins?: readonly (PluginSource | LoadedPlugin)[] | undefined;
  readonly threads?: number | undefined;
  readonly verbose?: boolean | undefined;
}

export interface Int8Facts {
  /** Names of the layers in 8-bit integers. */
  readonly layers: readonly string[];
  readonly dataset: string;
  readonly root: string;
  /** Training pictures that the ranges come from. */
  readonly pictures: number;
}

export interface Int8Export {
  readonly model: Model;
  readonly report: CompileReport;
  readonly facts: Int8Facts;
  /** Some of the pictures, for comparing decisions. */
  readonly compared: readonly Pictures[];
}

/**
 * Puts the layers that gain from it into 8-bit integers. The range of the input follows from the normalization of its pixels, the
 * others from training pictures; test pictures are not looked at.
 *
 * @throws {BnnError} E_UNSUPPORTED when no layer gains, E_USAGE when it is not known what the pictures are or how they are normalized,
 *   E_SHAPE when they do not fit, and what loading them throws.
 */
export async function exportInt8(
  model: Model,
  report: CompileReport,
  source: ModelSource,
  options: Int8Options,
): Promise<Int8Export> {
  const stem = findStem(model);
  const preprocessing = preprocessingOf(model, source.path);
  const dataset = await loadPictures(stem.image, preprocessing, source, options);
  const statistics = resolveNormalization(normalizationOf(preprocessing, options), dataset);
  const fixed = model.graph.inputs[0]?.shape?.[0];
  const batchSize = typeof fixed === 'number' ? fixed : BATCH;
  const batches = createBatches(dataset.train, {
    batchSize,
    normalize: statistics,
    dropLast: typeof fixed === 'number',
    onBroken: 'skip',
  });
  const compared: Pictures[] = [];
  let pictures = 0;
  async function* planar(): AsyncGenerator<Pictures> {
    for await (const { images, count } of batches) {
      const batch = { x: toChannelsFirst(images, count, dataset.channels), count };
      if (pictures < COMPARED) compared.push(batch);
      pictures += count;
      yield batch;
    }
  }
  const { threads, verbose } = options;
  const channels = await calibrateChannels(encodeModel(stemModel(model, stem)), stem.image, planar(), {
    threads,
    verbose,
  });
  const ends = (pixel: 0 | 1) => statistics.mean.map((mean, c) => (pixel - mean) / (statistics.std[c] ?? 1));
  const int8 = quantizeStem(model, { min: Math.min(...ends(0)), max: Math.max(...ends(1)) }, channels);
  const name = nameOf(stem.conv);
  return {
    model: int8,
    report: reportInt8(report, int8, name, stem.conv.requiredInput(1).constant?.shape ?? []),
    facts: { layers: [name], dataset: dataset.name, root: dataset.root, pictures },
    compared,
  };
}

async function loadPictures(
  [channels, height, width]: readonly [number, number, number],
  preprocessing: Preprocessing | null,
  { run, path }: ModelSource,
  options: Int8Options,
): Promise<Dataset> {
  const recipe = run === null ? null : await readRunData(run);
  const said = preprocessing?.dataset === NO_DATASET ? undefined : preprocessing?.dataset;
  const name = options.dataset ?? recipe?.dataset ?? said;
  if (name === undefined) {
    throw new BnnError('E_USAGE', '--int8 takes ranges from training pictures, but the file does not say which', {
      at: path,
      hint: 'add --dataset and --data',
    });
  }
  const frame = frameOfModel(preprocessing, [height, width], undefined, path);
  let dataset: Dataset;
  try {
    const { plugins = [] } = options;
    const own = plugins.length === 0 ? null : await openDatasets(plugins, run, name);
    const load: LoadOptions = {
      dir: options.data || (name === recipe?.dataset ? recipe.dir : undefined),
      limitTrain: PICTURES,
      limitTest: 1,
      ...(hasFreeImageSize(name, own?.datasets) ? { imageSize: height, frame: frame ?? undefined } : {}),
      split: name === recipe?.dataset ? recipe.split : undefined,
      values: own?.values,
    };
    dataset = await loadDataset(name, load, own?.datasets);
  } catch (error) {
    if (!(error instanceof BnnError)) throw error;
    const { code, message, at, hint = 'add --data DIR' } = error;
    throw new BnnError(code, `--int8 takes ranges from training pictures: ${message}`, { at, hint, cause: error });
  }
  if (dataset.train.count === 0) {
    throw new BnnError(
      'E_NOT_FOUND',
      `--int8 takes ranges from training pictures, but ${name} has only test pictures here`,
      {
        at: dataset.root,
        hint: 'give a folder with the training pictures by --data; some hundred are enough',
      },
    );
  }
  if (dataset.channels !== channels || dataset.height !== height || dataset.width !== width) {
    throw new BnnError(
      'E_SHAPE',
      `the model takes pictures of ${channels}×${height}×${width} (channels × height × width), those of ${name} are ${dataset.channels}×${dataset.height}×${dataset.width}`,
      { at: path, hint: 'choose the data set that the model was trained for, with --dataset' },
    );
  }
  return dataset;
}

function normalizationOf(preprocessing: Preprocessing | null, { normalize }: Int8Options): Normalization {
  if (normalize !== undefined) return normalize;
  if (preprocessing !== null) return { mean: preprocessing.mean, std: preprocessing.std };
  throw new BnnError(
    'E_USAGE',
    '--int8 needs the range of the input, but the file does not say how its pictures were normalized',
    {
      hint: 'add --normalize imagenet, dataset or none: what the network was trained with',
    },
  );
}

/** The report with a layer in 8-bit integers. */
function reportInt8(report: CompileReport, int8: Model, name: string, weights: readonly number[]): CompileReport {
  const sizes = addSizes(nodeSizes(int8).values());
  const elements = weights.reduce((product, size) => product * size, 1);
  const layers = report.layers.map((layer) => {
    if (layer.name !== name) return layer;
    const grown = (kind: keyof Sizes): number => layer.sizes[kind] + sizes[kind] - report.sizes[kind];
    const own: Sizes = {
      idealBits: 8 * elements + 32 * (weights[0] ?? 0),
      fileBytes: grown('fileBytes'),
      stockBytes: grown('stockBytes'),
      opsBytes: grown('opsBytes'),
    };
    return { ...layer, outcome: 'int8' as const, operator: 'QLinearConv', sizes: own };
  });
  return {
    ...report,
    layers,
    floatLayers: layers.filter(({ outcome }) => outcome === 'float').length,
    sizes: { ...sizes, idealBits: addSizes([...layers, report.rest].map((part) => part.sizes)).idealBits },
  };
}
