/** Recipes: everything needed to repeat a training run. One table drives types, checking, defaults, command-line flags and help. */

import { BACKEND_NAMES, canBackend, namesWith } from '../backends/backends.ts';
import { checkField, choice, type Field, flag, integer, MAX, number, text, type ValuesOf } from '../core/field.ts';
import { nearest } from '../core/nearest.ts';
import { BROKEN_POLICIES } from '../data/decode-pictures.ts';
import { canDownload, DATASET_NAMES, hasFreeImageSize } from '../data/load-dataset.ts';
import { NORMALIZATIONS } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import { ESTIMATOR_NAMES, ESTIMATORS, type EstimatorFields } from '../estimators/table.ts';
import { DECAY_GROUPS, OPTIMIZERS } from './optimizer.ts';
import { SCHEDULES } from './schedule.ts';
import { WEIGHT_TRANSFORMS } from './weight-transform.ts';

/** When a field does something beside the others. */
interface Use {
  readonly isUsed: (recipe: Recipe) => boolean;
  /** What makes the field do something. */
  readonly needs: string;
}

/** Without `use`, a field always does something. */
export type RecipeField = Field & { readonly use?: Use };

const use = (needs: string, isUsed: Use['isUsed']): Use => ({ needs, isUsed });
const withInit: Use = use('init', ({ init }) => init !== '');
const withDownload: Use = use('dataset cifar10 or cifar100', ({ dataset }) => canDownload(dataset));
const withPictures: Use = use('a data set of pictures of any size', ({ dataset }) => hasFreeImageSize(dataset));
const withSigns: Use = use('a network with binary weights', hasSigns);
const withActivationSigns: Use = use('a network with binary activations', hasActivationSigns);
const withOpenSign: Use = use(
  'a sign that neither weightEstimator nor activationEstimator is for',
  (recipe) =>
    (hasSigns(recipe) && recipe.weightEstimator === '') ||
    (hasActivationSigns(recipe) && recipe.activationEstimator === ''),
);
const withTransform: Use = use('a weightTransform', (recipe) => hasSigns(recipe) && recipe.weightTransform !== 'none');
const withSgd: Use = use('optimizer sgd', ({ optimizer }) => optimizer === 'sgd');
const withDecay: Use = use('weightDecay', ({ weightDecay }) => weightDecay > 0);
const withBop: Use = use('optimizer bop', ({ optimizer }) => optimizer === 'bop');
const withSteps: Use = use('schedule step', ({ schedule }) => schedule === 'step');
const withTeacher: Use = use('a teacher', ({ teacher }) => teacher !== '');
const withSample: Use = use('indicators or re-estimated statistics', measuresSample);
const withThreads: Use = use(
  `backend ${namesWith('threads').join(' or ')}, or a teacher`,
  ({ backend, teacher }) => canBackend(backend, 'threads') || teacher !== '',
);

/** Those of the estimators; each does something where one of them is used. */
function estimatorFields(): EstimatorFields {
  const fields: Record<string, RecipeField> = {};
  for (const [name, field] of ESTIMATORS.flatMap((row) => Object.entries<Field>(row.fields))) {
    const names: string[] = ESTIMATORS.filter((row) => Object.hasOwn(row.fields, name)).map((row) => row.name);
    const isUsed: Use['isUsed'] = (recipe) => estimatorsOf(recipe).some((it) => names.includes(it));
    fields[name] = { ...field, use: use(`estimator ${names.join(' or ')}`, isUsed) };
  }
  return fields as EstimatorFields;
}

/** One row a field, in the order of the help. */
export const RECIPE_FIELDS = {
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
  initSha256: { ...text('', 'hex', 'init: digest that the file must have; a run records it'), use: withInit },
  newClassifier: {
    ...flag(false, 'init: replace the last layer by a fresh one for the classes of the data set'),
    use: withInit,
  },
  dataset: { ...choice(DATASET_NAMES, 'mnist', 'data set; mnist is built in'), common: true },
  data: { ...text('', 'path', 'folder or archive of the data set; of a webdataset also a pattern'), common: true },
  download: { ...flag(false, 'fetch the official archive when the data set is missing'), use: withDownload },
  imageSize: {
    ...integer(224, 1, 4096, 'side of the square that pictures of various sizes are framed to'),
    use: withPictures,
  },
  normalize: choice(
    NORMALIZATIONS,
    'dataset',
    'statistics that pixels are normalized with; those in the file of init stand for dataset',
  ),
  padCrop: integer(0, 0, 64, 'augmentation: pad by this many pixels, then crop at random'),
  flip: flag(false, 'augmentation: flip half of the pictures horizontally'),
  cropScale: {
    ...number(0, 0, 1, 'augmentation: random crops of at least this share of a picture of any size; 0 = off'),
    use: withPictures,
  },
  brokenImages: {
    ...choice(BROKEN_POLICIES, 'stop', 'what to do about pictures that cannot be decoded'),
    use: withPictures,
  },
  limitTrain: integer(0, 0, MAX, 'train on the first so many pictures only; 0 = all'),
  limitTest: integer(0, 0, MAX, 'test on the first so many pictures only; 0 = all'),
  validation: integer(0, 0, MAX, 'hold out so many training pictures and choose the best epoch by them'),
  estimator: { ...choice(ESTIMATOR_NAMES, 'reste', 'gradient of sign'), common: true, use: withOpenSign },
  weightEstimator: {
    ...choice(['', ...ESTIMATOR_NAMES], '', 'gradient of sign for weights, when it differs; bop has none'),
    use: withSigns,
  },
  activationEstimator: {
    ...choice(['', ...ESTIMATOR_NAMES], '', 'gradient of sign for activations, when it differs'),
    use: withActivationSigns,
  },
  weightTransform: {
    ...choice(WEIGHT_TRANSFORMS, 'none', 'what stands between the latent weights and their sign'),
    use: withSigns,
  },
  relaxShare: {
    ...number(0, 0, 1, 'share of the epochs, from the start, in which transformed weights are used without their sign'),
    use: withTransform,
  },
  ...estimatorFields(),
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
  momentum: { ...number(0.9, 0, 1, 'sgd: momentum'), use: withSgd },
  weightDecay: number(0, 0, 1e6, 'weight decay'),
  weightDecayOn: { ...choice(DECAY_GROUPS, 'all', 'which parameters decay'), use: withDecay },
  clampWeights: { ...number(0, 0, 1e6, 'keep latent binary weights within ± this; 0 = no limit'), use: withSigns },
  clipGradients: number(0, 0, 1e6, 'scale gradients down to this norm of all together; 0 = no limit'),
  emaDecay: number(0, 0, 0.999999, 'evaluate and save a moving average of the weights; 0 = the weights themselves'),
  bopGamma: { ...number(1e-4, 0, 1, 'bop: how fast the average of gradients adapts, at the start'), use: withBop },
  bopThreshold: { ...number(1e-8, 0, 1e6, 'bop: size of that average that flips a weight'), use: withBop },
  bopDecay: {
    ...number(0.1, 0, 1, 'bop: what each fifth of the epochs leaves of bopGamma, as in the paper; 1 = all'),
    use: withBop,
  },
  schedule: choice(SCHEDULES, 'cosine', 'how the learning rate falls'),
  warmupEpochs: number(0, 0, MAX, 'epochs in which the learning rate rises; may be a fraction'),
  stepEpochs: { ...number(30, 1e-6, MAX, 'schedule step: epochs between two falls'), use: withSteps },
  stepFactor: { ...number(0.1, 0, 1, 'schedule step: what a fall leaves of the rate'), use: withSteps },
  patience: integer(0, 0, MAX, 'stop after so many epochs without a better validation accuracy; 0 = never'),
  labelSmoothing: number(0, 0, 0.999, 'label smoothing'),
  cutout: integer(0, 0, 4096, 'augmentation: cut a square of this side out of each picture'),
  mixup: number(0, 0, 2, 'augmentation: mix pairs of pictures by a share from Beta(x, x)'),
  teacher: text('', 'file', 'an ONNX network to imitate, or a run folder'),
  teacherWeight: { ...number(0.5, 0, 1, 'share of the imitation in the loss'), use: withTeacher },
  temperature: { ...number(4, 1e-3, 1e3, 'softness of what is imitated'), use: withTeacher },
  indicators: {
    ...flag(false, 'record estimating error, gradient stability, flips and entropies of each epoch'),
    use: withSigns,
  },
  reestimate: flag(false, 'evaluate and save with batch statistics measured anew; always so with relaxShare'),
  samplePictures: {
    ...integer(
      1024,
      1,
      MAX,
      'training pictures, the same ones throughout, on which indicators and batch statistics are measured, in full batches',
    ),
    use: withSample,
  },
  checkpointMinutes: number(5, 0, MAX, 'also save inside long epochs, this often; 0 = only after epochs'),
  backend: { ...choice(BACKEND_NAMES, 'auto', 'where to compute'), common: true },
  threads: { ...integer(0, 0, 64, 'threads of the backend; 0 = all cores'), common: true, use: withThreads },
  seed: { ...integer(1, 0, MAX, 'seed of initialization, shuffling and augmentation'), common: true },
} satisfies Readonly<Record<string, RecipeField>>;

export type Recipe = ValuesOf<typeof RECIPE_FIELDS>;
export type RecipeInput = Readonly<Record<string, unknown>>;

/** All fields at their defaults. */
export function defaultRecipe(): Recipe {
  return parseRecipe([]);
}

/** The zoo's twins: `-fp` has no sign at all, `-1w32a` none for activations. */
function hasSigns({ init, model }: Recipe): boolean {
  return init !== '' || !model.endsWith('-fp');
}

function hasActivationSigns(recipe: Recipe): boolean {
  return hasSigns(recipe) && (recipe.init !== '' || !recipe.model.endsWith('-1w32a'));
}

function estimatorsOf(recipe: Recipe): string[] {
  return [
    ...(hasSigns(recipe) ? [recipe.weightEstimator || recipe.estimator] : []),
    ...(hasActivationSigns(recipe) ? [recipe.activationEstimator || recipe.estimator] : []),
  ];
}

/** What a field lacks to do something in this recipe; null when it does, or is switched off. */
export function missingUse(field: keyof Recipe, recipe: Recipe): string | null {
  const value = recipe[field];
  const isOff = value === false || value === 0 || value === '';
  const { use }: RecipeField = RECIPE_FIELDS[field];
  return isOff || use === undefined || use.isUsed(recipe) ? null : use.needs;
}

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

/**
 * Completes and checks a recipe: later objects override earlier ones; `description` and `$schema` are allowed and dropped.
 *
 * @throws {BnnError} E_USAGE that names the field, what was found and what is allowed.
 */
export function parseRecipe(inputs: readonly RecipeInput[], at?: string): Recipe {
  const recipe: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(RECIPE_FIELDS)) recipe[name] = field.default;
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
  return recipe as Recipe;
}
