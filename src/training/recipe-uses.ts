/** Which fields of a recipe do something beside the others. */

import { canBackend, namesWith } from '../backends/backends.ts';
import { canDownload, hasFreeImageSize } from '../data/load-dataset.ts';
import { type EstimatorName, measuresSample, type Recipe } from './recipe.ts';

interface Use {
  readonly isUsed: (recipe: Recipe) => boolean;
  /** What makes the field do something. */
  readonly needs: string;
}

const use = (needs: string, isUsed: Use['isUsed']): Use => ({ needs, isUsed });

/** The zoo's twins: `-fp` has no sign at all, `-1w32a` none for activations. */
const hasSigns = ({ init, model }: Recipe): boolean => init !== '' || !model.endsWith('-fp');
const hasActivationSigns = (recipe: Recipe): boolean =>
  hasSigns(recipe) && (recipe.init !== '' || !recipe.model.endsWith('-1w32a'));
const SIGNS = 'a network with binary weights';

function estimatorsOf(recipe: Recipe): EstimatorName[] {
  return [
    ...(hasSigns(recipe) ? [recipe.weightEstimator || recipe.estimator] : []),
    ...(hasActivationSigns(recipe) ? [recipe.activationEstimator || recipe.estimator] : []),
  ];
}

const withEstimator = (...names: EstimatorName[]): Use =>
  use(`estimator ${names.join(' or ')}`, (recipe) => estimatorsOf(recipe).some((name) => names.includes(name)));
const withInit = use('init', ({ init }) => init !== '');
const withTeacher = use('a teacher', ({ teacher }) => teacher !== '');
const withBop = use('optimizer bop', ({ optimizer }) => optimizer === 'bop');
const withSteps = use('schedule step', ({ schedule }) => schedule === 'step');
const withPictures = use('a data set of pictures of any size', ({ dataset }) => hasFreeImageSize(dataset));

/** Fields that are not listed always do something. */
const USES: { readonly [K in keyof Recipe]?: Use } = {
  initSha256: withInit,
  newClassifier: withInit,
  download: use('dataset cifar10 or cifar100', ({ dataset }) => canDownload(dataset)),
  imageSize: withPictures,
  cropScale: withPictures,
  brokenImages: withPictures,
  estimator: use(
    'a sign that neither weightEstimator nor activationEstimator is for',
    (recipe) =>
      (hasSigns(recipe) && recipe.weightEstimator === '') ||
      (hasActivationSigns(recipe) && recipe.activationEstimator === ''),
  ),
  weightEstimator: use(SIGNS, hasSigns),
  activationEstimator: use('a network with binary activations', hasActivationSigns),
  weightTransform: use(SIGNS, hasSigns),
  relaxShare: use('a weightTransform', (recipe) => hasSigns(recipe) && recipe.weightTransform !== 'none'),
  oEnd: withEstimator('reste'),
  resteT: withEstimator('reste'),
  resteM: withEstimator('reste'),
  steClip: withEstimator('ste'),
  swishBeta: withEstimator('swish-sign'),
  dsqAlpha: withEstimator('dsq', 'dsq-learned'),
  momentum: use('optimizer sgd', ({ optimizer }) => optimizer === 'sgd'),
  weightDecayOn: use('weightDecay', ({ weightDecay }) => weightDecay > 0),
  clampWeights: use(SIGNS, hasSigns),
  bopGamma: withBop,
  bopThreshold: withBop,
  bopDecay: withBop,
  samplePictures: use('indicators or re-estimated statistics', measuresSample),
  stepEpochs: withSteps,
  stepFactor: withSteps,
  teacherWeight: withTeacher,
  temperature: withTeacher,
  indicators: use(SIGNS, hasSigns),
  threads: use(
    `backend ${namesWith('threads').join(' or ')}, or a teacher`,
    ({ backend, teacher }) => canBackend(backend, 'threads') || teacher !== '',
  ),
};

/** What a field lacks to do something in this recipe; null when it does, or is switched off. */
export function missingUse(field: keyof Recipe, recipe: Recipe): string | null {
  const isOff = [false, 0, ''].includes(recipe[field] as false | 0 | '');
  const uses = USES[field];
  return isOff || uses === undefined || uses.isUsed(recipe) ? null : uses.needs;
}
