/** Recipes: everything needed to repeat a training run. One table drives types, checking, defaults, command-line flags and help. */

import { BACKEND_NAMES, canBackend, namesWith } from '../../backends/backends.ts';
import { PRECISIONS } from '../../backends/precision.ts';
import { choice, type Field, flag, integer, MAX, number, text, type ValuesOf } from '../../core/field.ts';
import { FITS } from '../../core/pictures/preprocessing.ts';
import { namesOf } from '../../core/row-named.ts';
import { BROKEN_POLICIES } from '../../data/batches/decode-pictures.ts';
import { canDownload, canSplit, DATASET_NAMES, hasFreeImageSize } from '../../data/load-dataset.ts';
import { NORMALIZATIONS } from '../../data/normalization.ts';
import { ESTIMATORS, type EstimatorRow } from '../../estimators/table.ts';
import { BINARY_VALUES } from '../../zoo/network.ts';
import { CLIP_GROUPS } from '../optimizers/clip-gradients.ts';
import { DECAY_GROUPS, OPTIMIZERS, ROLE_FIELDS } from '../optimizers/optimizer.ts';
import { SCHEDULES } from '../optimizers/schedule.ts';
import { SILENT_FIELDS } from '../optimizers/silent-weights.ts';
import { WEIGHT_TRANSFORMS } from '../optimizers/weight-transform.ts';
import { DEVIATIONS } from '../program/divided-activations.ts';
import { fieldsOf, hasActivationSigns, hasSigns } from './recipe-choices.ts';

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
const withClasses: Use = use('dataset image-folder', ({ dataset }) => canSplit(dataset));
const withPictures: Use = use('a data set of pictures of any size', ({ dataset }) => hasFreeImageSize(dataset));
const withFlip: Use = use('flip', ({ flip }) => flip);
const withSigns: Use = use('a network with binary weights', hasSigns);
const withZoo: Use = use('a network of the zoo', ({ init }) => init === '');
const withNewSigns: Use = use(
  'a network of the zoo with binary weights',
  (recipe) => recipe.init === '' && hasSigns(recipe),
);
const withActivationSigns: Use = use('a network with binary activations', hasActivationSigns);
const withOpenSign: Use = use(
  'a sign that neither weightEstimator nor activationEstimator is for',
  (recipe) =>
    (hasSigns(recipe) && recipe.weightEstimator === '') ||
    (hasActivationSigns(recipe) && recipe.activationEstimator === ''),
);
const withDecay: Use = use('weightDecay', ({ weightDecay }) => weightDecay > 0);
const withBinaryDecay: Use = use(
  'weightDecay of binary weights',
  (recipe) => recipe.weightDecay > 0 && recipe.weightDecayOn !== 'float-weights' && hasSigns(recipe),
);
const withNormDecay: Use = use(
  'weightDecay on all',
  ({ weightDecay, weightDecayOn }) => weightDecay > 0 && weightDecayOn === 'all',
);
const withSilentDecay: Use = use('silentDecay', (recipe) => recipe.silentDecay > 0 && hasSigns(recipe));
const withClipping: Use = use('clipGradients', ({ clipGradients }) => clipGradients > 0);
const withTeacher: Use = use('a teacher', ({ teacher }) => teacher !== '');
const withSample: Use = use('indicators or re-estimated statistics', measuresSample);
const withBf16: Use = use(
  `backend ${namesWith('bf16').join(' or ')}, and a network with binary weights`,
  (recipe) => canBackend(recipe.backend, 'bf16') && hasSigns(recipe),
);
const withThreads: Use = use(
  `backend ${namesWith('threads').join(' or ')}, or a teacher`,
  ({ backend, teacher }) => canBackend(backend, 'threads') || teacher !== '',
);

const ESTIMATOR_NAMES: readonly string[] = namesOf(ESTIMATORS);
const SLOPES_ONLY = ESTIMATORS.filter((row: EstimatorRow) => row.slopeOnly !== undefined).map(({ name }) => name);

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
  split: {
    ...number(0, 0, 0.9, 'test on this share of each class, where the folder holds classes alone; chosen by the seed'),
    use: withClasses,
  },
  imageSize: {
    ...integer(
      0,
      0,
      4096,
      'side of the square that pictures of various sizes are framed to; 0 = what the network is made for',
    ),
    use: withPictures,
  },
  fit: {
    ...choice(
      FITS,
      'crop',
      'how pictures become square: crop = shorter side to 8/7 of imageSize, and its middle; squash = each side by its own ratio; pad = the whole picture on black',
    ),
    use: withPictures,
  },
  normalize: choice(
    NORMALIZATIONS,
    'dataset',
    'statistics that pixels are normalized with; those in the file of init stand for dataset',
  ),
  padCrop: integer(0, 0, 64, 'augmentation: pad by this many pixels, then crop at random'),
  flip: flag(false, 'augmentation: flip half of the pictures horizontally'),
  alternateFlip: {
    ...flag(false, 'flip each picture in every second epoch, instead of by chance'),
    use: withFlip,
  },
  cropScale: {
    ...number(0, 0, 1, 'augmentation: random crops of at least this share of a picture of any size; 0 = off'),
    use: withPictures,
  },
  augment: text(
    '',
    'list',
    'augmentations of plug-ins, separated by commas, in the order in which they change a picture',
  ),
  brokenImages: {
    ...choice(BROKEN_POLICIES, 'stop', 'what to do about pictures that cannot be decoded'),
    use: withPictures,
  },
  limitTrain: integer(0, 0, MAX, 'train on the first so many pictures only; 0 = all'),
  limitTest: integer(0, 0, MAX, 'test on the first so many pictures only; 0 = all'),
  validation: integer(0, 0, MAX, 'hold out so many training pictures and choose the best epoch by them'),
  estimator: {
    ...choice<string>(
      ESTIMATOR_NAMES,
      'reste',
      `gradient of sign; ${SLOPES_ONLY.join(', ')} are the slopes only of methods that do more`,
    ),
    common: true,
    use: withOpenSign,
  },
  weightEstimator: {
    ...choice<string>(['', ...ESTIMATOR_NAMES], '', 'gradient of sign for weights, when it differs; bop has none'),
    use: withSigns,
  },
  activationEstimator: {
    ...choice<string>(['', ...ESTIMATOR_NAMES], '', 'gradient of sign for activations, when it differs'),
    use: withActivationSigns,
  },
  weightTransform: {
    ...choice<string>(
      ['none', ...namesOf(WEIGHT_TRANSFORMS)],
      'none',
      'what stands between the latent weights and their sign',
    ),
    use: withSigns,
  },
  relaxShare: {
    ...number(0, 0, 1, 'share of the epochs, from the start, in which weights are used without their sign'),
    use: withSigns,
  },
  ...fieldsOf('weightTransforms', WEIGHT_TRANSFORMS),
  ...fieldsOf('estimators', ESTIMATORS),
  binaryValues: {
    ...choice(
      BINARY_VALUES,
      'mean',
      'values of binary layers: mean = ± the mean absolute weight of the layer; learned = ± a learned number for each channel; adabin = two values that need not be opposite, of each filter and of the activations of each layer',
    ),
    use: withNewSigns,
  },
  activationDeviation: {
    ...choice(
      DEVIATIONS,
      'none',
      'the estimator of activations sees them divided by their standard deviation within the picture: through = and its gradient goes through that as well; constant = it does not',
    ),
    use: withActivationSigns,
  },
  whitenStem: {
    ...flag(false, 'start the first convolution from filters that whiten windows of the training pictures'),
    use: withZoo,
  },
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
  syncBatchNorm: flag(
    false,
    'of several processes (mpirun): take the statistics of batch normalization over the whole batch, as one process does; otherwise each over its part',
  ),
  optimizer: { ...choice<string>(namesOf(OPTIMIZERS), 'adam', 'optimizer'), common: true },
  lr: { ...number(0.005, 0, 1e6, 'peak learning rate'), common: true },
  weightDecay: number(0, 0, 1e6, 'weight decay'),
  weightDecayOn: { ...choice(DECAY_GROUPS, 'all', 'which parameters decay'), use: withDecay },
  binaryLr: { ...ROLE_FIELDS.binaryLr, use: withSigns },
  normLr: ROLE_FIELDS.normLr,
  binaryDecay: { ...ROLE_FIELDS.binaryDecay, use: withBinaryDecay },
  normDecay: { ...ROLE_FIELDS.normDecay, use: withNormDecay },
  clampWeights: { ...number(0, 0, 1e6, 'keep latent binary weights within ± this; 0 = no limit'), use: withSigns },
  clipGradients: number(0, 0, 1e6, 'scale gradients down to this norm of all together; 0 = no limit'),
  clipGradientsBy: {
    ...choice(
      CLIP_GROUPS,
      'all',
      'norms to limit: of all gradients, or by role of binary weights, float weights and the rest apart',
    ),
    use: withClipping,
  },
  silentScale: { ...SILENT_FIELDS.silentScale, use: withSigns },
  silentDecay: { ...SILENT_FIELDS.silentDecay, use: withSigns },
  silentMomentum: { ...SILENT_FIELDS.silentMomentum, use: withSilentDecay },
  silentThreshold: { ...SILENT_FIELDS.silentThreshold, use: withSilentDecay },
  emaDecay: number(0, 0, 0.999999, 'evaluate and save a moving average of the weights; 0 = the weights themselves'),
  ...fieldsOf('optimizers', OPTIMIZERS),
  schedule: choice<string>(namesOf(SCHEDULES), 'cosine', 'how the learning rate falls'),
  warmupEpochs: number(0, 0, MAX, 'epochs in which the learning rate rises; may be a fraction'),
  ...fieldsOf('schedules', SCHEDULES),
  patience: integer(0, 0, MAX, 'stop after so many epochs without a better validation accuracy; 0 = never'),
  labelSmoothing: number(0, 0, 0.999, 'label smoothing'),
  cutout: integer(0, 0, 4096, 'augmentation: cut a square of this side out of each picture'),
  mixup: number(0, 0, 2, 'augmentation: mix pairs of pictures by a share from Beta(x, x)'),
  teacher: text('', 'file', 'an ONNX network to imitate, or a run folder'),
  teacherSha256: {
    ...text('', 'hex', 'teacher: digest that the file must have; a run records it'),
    use: withTeacher,
  },
  teacherWeight: { ...number(0.5, 0, 1, 'share of the imitation in the loss'), use: withTeacher },
  temperature: { ...number(4, 1e-3, 1e3, 'softness of what is imitated'), use: withTeacher },
  teacherCache: {
    ...integer(
      0,
      0,
      2 ** 20,
      'MiB in which answers of the teacher are kept, by picture as augmented; 0 = each is asked for',
    ),
    use: withTeacher,
  },
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
  precision: {
    ...choice(
      PRECISIONS,
      'float32',
      'what gradients of layers with binary weights are multiplied in; bf16 rounds them once, sums stay float32; auto = bf16 where the processor multiplies it faster; bf16-all = float activations of the forward pass in bf16, too',
    ),
    use: withBf16,
  },
  seed: { ...integer(1, 0, MAX, 'seed of initialization, shuffling and augmentation'), common: true },
} satisfies Readonly<Record<string, RecipeField>>;

/** Which plug-in a recipe needs. */
export interface PluginRecord {
  readonly name: string;
  /** sha256 (hex) of its file and of those that it names. */
  readonly sha256: string;
}

/** Fields of plug-ins stand beside these. */
export type Recipe = ValuesOf<typeof RECIPE_FIELDS> & {
  /** Those with a part that the recipe uses; absent where it needs none. */
  readonly plugins?: readonly PluginRecord[];
};
export type RecipeInput = Readonly<Record<string, unknown>>;

export { valuesOf } from './recipe-values.ts';

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
