/** Recipes: everything needed to repeat a training run. One table drives checking, defaults, command-line flags and help. */

import { nearest } from '../core/nearest.ts';
import { BROKEN_POLICIES, type BrokenPolicy } from '../data/decode-pictures.ts';
import { NORMALIZATIONS } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import { DECAY_GROUPS, type DecayGroup, OPTIMIZERS, type OptimizerName } from './optimizer.ts';
import { SCHEDULES, type ScheduleName } from './schedule.ts';
import { WEIGHT_TRANSFORMS, type WeightTransformName } from './weight-transform.ts';

export const ESTIMATORS = [
  'reste',
  'ste',
  'ste-identity',
  'approx-sign',
  'swish-sign',
  'ede',
  'dsq',
  'dsq-learned',
  'fda',
  'rbnn',
  'adaste',
] as const;
export type EstimatorName = (typeof ESTIMATORS)[number];

/** As `loadDataset` knows them. */
const DATASETS = ['mnist', 'cifar10', 'cifar100', 'imagenet', 'webdataset', 'image-folder'] as const;
const BACKENDS = ['auto', 'native', 'tensorflow', 'webgpu', 'wasm', 'cpu'] as const;

export interface Recipe {
  readonly model: string;
  readonly init: string;
  readonly initSha256: string;
  readonly newClassifier: boolean;
  readonly dataset: string;
  readonly data: string;
  readonly download: boolean;
  readonly imageSize: number;
  readonly normalize: (typeof NORMALIZATIONS)[number];
  readonly padCrop: number;
  readonly flip: boolean;
  readonly cropScale: number;
  readonly brokenImages: BrokenPolicy;
  readonly limitTrain: number;
  readonly limitTest: number;
  readonly validation: number;
  readonly estimator: EstimatorName;
  readonly weightTransform: WeightTransformName;
  readonly relaxShare: number;
  readonly weightEstimator: EstimatorName | '';
  readonly activationEstimator: EstimatorName | '';
  readonly oEnd: number;
  readonly resteT: number;
  readonly resteM: number;
  readonly steClip: number;
  readonly swishBeta: number;
  readonly dsqAlpha: number;
  readonly slopePeak: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly weightDecayOn: DecayGroup;
  readonly clampWeights: number;
  readonly clipGradients: number;
  readonly emaDecay: number;
  readonly bopGamma: number;
  readonly bopThreshold: number;
  readonly bopDecay: number;
  readonly schedule: ScheduleName;
  readonly warmupEpochs: number;
  readonly stepEpochs: number;
  readonly stepFactor: number;
  readonly patience: number;
  readonly labelSmoothing: number;
  readonly cutout: number;
  readonly mixup: number;
  readonly teacher: string;
  readonly teacherWeight: number;
  readonly temperature: number;
  readonly indicators: boolean;
  readonly reestimate: boolean;
  readonly samplePictures: number;
  readonly checkpointMinutes: number;
  readonly backend: (typeof BACKENDS)[number];
  readonly threads: number;
  readonly seed: number;
}

export type FieldSpec = {
  readonly help: string;
  /** Shown under "Common options" in the help. */
  readonly common?: true;
} & (
  | { readonly kind: 'string'; readonly default: string; readonly value: string }
  | { readonly kind: 'choice'; readonly default: string; readonly choices: readonly string[] }
  | { readonly kind: 'flag'; readonly default: boolean }
  | { readonly kind: 'integer' | 'number'; readonly default: number; readonly min: number; readonly max: number }
);

const MAX = Number.MAX_SAFE_INTEGER;
const integer = (fallback: number, min: number, max: number, help: string) =>
  ({ kind: 'integer', default: fallback, min, max, help }) as const;
const number = (fallback: number, min: number, max: number, help: string) =>
  ({ kind: 'number', default: fallback, min, max, help }) as const;
const choice = (choices: readonly string[], fallback: string, help: string) =>
  ({ kind: 'choice', default: fallback, choices, help }) as const;
const flag = (fallback: boolean, help: string) => ({ kind: 'flag', default: fallback, help }) as const;
/** @param value  what the option's value is called in the help. */
const text = (fallback: string, value: string, help: string) =>
  ({ kind: 'string', default: fallback, value, help }) as const;

/** Fields in the order of the help. */
export const RECIPE_FIELDS: { readonly [K in keyof Recipe]: FieldSpec } = {
  model: {
    ...text(
      'binarynet-mini',
      'name',
      'network of the zoo; the suffixes -1w32a and -fp give its weight-only and float twins',
    ),
    common: true,
  },
  init: {
    ...text(
      '',
      'file',
      'start from this ONNX file instead of a network of the zoo: a latent model or a float classifier; or from a run folder',
    ),
    common: true,
  },
  initSha256: text('', 'hex', 'init: digest that the file must have; a run records it'),
  newClassifier: flag(false, 'init: replace the last layer by a fresh one for the classes of the data set'),
  dataset: { ...choice(DATASETS, 'mnist', 'data set; mnist is built in'), common: true },
  data: { ...text('', 'path', 'folder or archive of the data set; of a webdataset also a pattern'), common: true },
  download: flag(false, 'fetch the official archive when the data set is missing'),
  imageSize: integer(224, 1, 4096, 'side of the square that pictures of various sizes are framed to'),
  normalize: choice(
    NORMALIZATIONS,
    'dataset',
    'statistics that pixels are normalized with; those in the file of init stand for dataset',
  ),
  padCrop: integer(0, 0, 64, 'augmentation: pad by this many pixels, then crop at random'),
  flip: flag(false, 'augmentation: flip half of the pictures horizontally'),
  cropScale: number(0, 0, 1, 'augmentation: random crops of at least this share of a picture of any size; 0 = off'),
  brokenImages: choice(BROKEN_POLICIES, 'stop', 'what to do about pictures that cannot be decoded'),
  limitTrain: integer(0, 0, MAX, 'train on the first so many pictures only; 0 = all'),
  limitTest: integer(0, 0, MAX, 'test on the first so many pictures only; 0 = all'),
  validation: integer(0, 0, MAX, 'hold out so many training pictures and choose the best epoch by them'),
  estimator: { ...choice(ESTIMATORS, 'reste', 'gradient of sign'), common: true },
  weightEstimator: choice(['', ...ESTIMATORS], '', 'gradient of sign for weights, when it differs; bop has none'),
  activationEstimator: choice(['', ...ESTIMATORS], '', 'gradient of sign for activations, when it differs'),
  weightTransform: choice(WEIGHT_TRANSFORMS, 'none', 'what stands between the latent weights and their sign'),
  relaxShare: number(
    0,
    0,
    1,
    'share of the epochs, from the start, in which transformed weights are used without their sign',
  ),
  oEnd: { ...number(3, 1, 1000, 'ReSTE: final power parameter o'), common: true },
  resteT: number(1.5, 0, 1e6, 'ReSTE: no gradient beyond this'),
  resteM: number(0.1, 1e-6, 1e6, 'ReSTE: constant slope below this'),
  steClip: number(1, 0, 1e6, 'ste: no gradient beyond this'),
  swishBeta: number(5, 1e-3, 1e3, 'swish-sign: steepness'),
  dsqAlpha: number(0.2, 1e-6, 0.999, 'dsq: distance of the surrogate from a step; dsq-learned: at the start'),
  slopePeak: number(
    0,
    0,
    1e6,
    'scale the gradient of sign to this value at 0, which tells the shape of an estimator from its size; 0 = as it is',
  ),
  epochs: { ...integer(5, 1, MAX, 'passes over the training set'), common: true },
  batchSize: {
    ...integer(128, 1, 65536, 'pictures per step; what does not fill a batch is left out of an epoch'),
    common: true,
  },
  optimizer: { ...choice(OPTIMIZERS, 'adam', 'optimizer'), common: true },
  lr: { ...number(0.005, 0, 1e6, 'peak learning rate'), common: true },
  momentum: number(0.9, 0, 1, 'sgd: momentum'),
  weightDecay: number(0, 0, 1e6, 'weight decay'),
  weightDecayOn: choice(DECAY_GROUPS, 'all', 'which parameters decay'),
  clampWeights: number(0, 0, 1e6, 'keep latent binary weights within ± this; 0 = no limit'),
  clipGradients: number(0, 0, 1e6, 'scale gradients down to this norm of all together; 0 = no limit'),
  emaDecay: number(0, 0, 0.999999, 'evaluate and save a moving average of the weights; 0 = the weights themselves'),
  bopGamma: number(1e-4, 0, 1, 'bop: how fast the average of gradients adapts, at the start'),
  bopThreshold: number(1e-8, 0, 1e6, 'bop: size of that average that flips a weight'),
  bopDecay: number(0.1, 0, 1, 'bop: what each fifth of the epochs leaves of bopGamma, as in the paper; 1 = all'),
  schedule: choice(SCHEDULES, 'cosine', 'how the learning rate falls'),
  warmupEpochs: number(0, 0, MAX, 'epochs in which the learning rate rises; may be a fraction'),
  stepEpochs: number(30, 1e-6, MAX, 'schedule step: epochs between two falls'),
  stepFactor: number(0.1, 0, 1, 'schedule step: what a fall leaves of the rate'),
  patience: integer(0, 0, MAX, 'stop after so many epochs without a better validation accuracy; 0 = never'),
  labelSmoothing: number(0, 0, 0.999, 'label smoothing'),
  cutout: integer(0, 0, 4096, 'augmentation: cut a square of this side out of each picture'),
  mixup: number(0, 0, 2, 'augmentation: mix pairs of pictures by a share from Beta(x, x)'),
  teacher: text('', 'file', 'an ONNX network to imitate, or a run folder'),
  teacherWeight: number(0.5, 0, 1, 'share of the imitation in the loss'),
  temperature: number(4, 1e-3, 1e3, 'softness of what is imitated'),
  indicators: flag(false, 'record estimating error, gradient stability, flips and entropies of each epoch'),
  reestimate: flag(false, 'evaluate and save with batch statistics measured anew; always so with relaxShare'),
  samplePictures: integer(
    1024,
    1,
    MAX,
    'training pictures, the same ones throughout, on which indicators and batch statistics are measured, in full batches',
  ),
  checkpointMinutes: number(5, 0, MAX, 'also save inside long epochs, this often; 0 = only after epochs'),
  backend: { ...choice(BACKENDS, 'auto', 'where to compute'), common: true },
  threads: { ...integer(0, 0, 64, 'threads of the native backend; 0 = all cores'), common: true },
  seed: { ...integer(1, 0, MAX, 'seed of initialization, shuffling and augmentation'), common: true },
};

/** What the network is called: by its name in the zoo, or by the file or the run that it starts from. */
export function networkName({ model, init }: Pick<Recipe, 'model' | 'init'>): string {
  if (init === '') return model;
  const file = init.replace(/([\\/](last|best))?[\\/]model\.onnx$/, '');
  return (file.split(/[\\/]/).at(-1) ?? file).replace(/\.onnx$/, '');
}

/** Whether evaluation takes statistics of the weights that it evaluates: those of training are of other weights while these are relaxed. */
export function measuresStatistics({ reestimate, relaxShare }: Pick<Recipe, 'reestimate' | 'relaxShare'>): boolean {
  return reestimate || relaxShare > 0;
}

/** Whether a run measures anything on its fixed sample. */
export function measuresSample(recipe: Recipe): boolean {
  return recipe.indicators || measuresStatistics(recipe) || startsTransformed(recipe);
}

/** Whether a run starts from a network whose weights its transform must give. */
export function startsTransformed({ init, weightTransform }: Pick<Recipe, 'init' | 'weightTransform'>): boolean {
  return init !== '' && weightTransform !== 'none';
}

export type RecipeInput = Readonly<Record<string, unknown>>;

/** All fields at their defaults. */
export function defaultRecipe(): Recipe {
  return Object.fromEntries(
    Object.entries(RECIPE_FIELDS).map(([name, spec]) => [name, spec.default]),
  ) as unknown as Recipe;
}

/**
 * Completes and checks a recipe: later objects override earlier ones; `description` and `$schema` are allowed and dropped.
 *
 * @throws {BnnError} E_USAGE that names the field, what was found and what is allowed.
 */
export function parseRecipe(inputs: readonly RecipeInput[], at?: string): Recipe {
  const recipe: Record<string, unknown> = { ...defaultRecipe() };
  for (const input of inputs) {
    for (const [name, value] of Object.entries(input)) {
      if (name === 'description' || name === '$schema' || value === undefined) continue;
      if (!Object.hasOwn(RECIPE_FIELDS, name)) {
        const near = nearest(name, Object.keys(RECIPE_FIELDS));
        throw new BnnError('E_USAGE', `unknown recipe field "${name}"`, {
          at,
          hint: near === undefined ? `fields: ${Object.keys(RECIPE_FIELDS).join(', ')}` : `did you mean "${near}"?`,
        });
      }
      checkField(name, RECIPE_FIELDS[name as keyof Recipe], value, at);
      recipe[name] = value;
    }
  }
  return recipe as unknown as Recipe;
}

function checkField(name: string, spec: FieldSpec, value: unknown, at: string | undefined): void {
  const fail = (expected: string, hint?: string): never => {
    throw new BnnError('E_USAGE', `${name} is ${JSON.stringify(value)}, expected ${expected}`, { at, hint });
  };
  switch (spec.kind) {
    case 'string':
      if (typeof value !== 'string') fail('text');
      return;
    case 'flag':
      if (typeof value !== 'boolean') fail('true or false');
      return;
    case 'choice':
      if (typeof value !== 'string' || !spec.choices.includes(value)) {
        const near = typeof value === 'string' ? nearest(value, spec.choices) : undefined;
        fail(
          `one of ${spec.choices.filter((c) => c !== '').join(', ')}`,
          near === undefined ? undefined : `did you mean "${near}"?`,
        );
      }
      return;
    case 'integer':
    case 'number': {
      const fits = typeof value === 'number' && value >= spec.min && value <= spec.max;
      const range = spec.max === MAX ? `of at least ${spec.min}` : `between ${spec.min} and ${spec.max}`;
      if (!fits || (spec.kind === 'integer' && !Number.isInteger(value))) {
        fail(`${spec.kind === 'integer' ? 'a whole number' : 'a number'} ${range}`);
      }
      return;
    }
    default:
      spec satisfies never;
  }
}
