/** The networks by name, in latent form: standard ONNX operators, float weights, and `bnn.Sign` where an operand is binarized. */

import type { Fields, ValuesOf } from '../core/field.ts';
import { nearest } from '../core/nearest.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { buildBinarynetMini } from './binarynet-mini.ts';
import type { BinaryValues, NetworkOptions, Precision } from './network.ts';
import {
  buildResnet,
  RESNET8_BI_REAL,
  RESNET8_BI_REAL_WIDE,
  RESNET18,
  RESNET18_CIFAR,
  RESNET18_HALF,
  RESNET20,
  RESNET20_BI_REAL,
  RESNET20_HARDTANH,
  RESNET20_REACT,
  RESNET34,
  type ResnetDesign,
} from './resnet.ts';
import { buildVggSmall } from './vgg-small.ts';

/** Training settings that suit a network: those of its paper, or ours where there is none. */
export interface RecipeHints {
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: 'sgd' | 'adam';
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly warmupEpochs: number;
  /** Last exponent of the ReSTE estimator. */
  readonly oEnd: number;
}

export interface ZooEntry {
  readonly name: string;
  /** One line for lists. */
  readonly describe: string;
  readonly precision: Precision;
  /** Default image size. */
  readonly input: { readonly channels: number; readonly height: number; readonly width: number };
  /** Default number of classes. */
  readonly classes: number;
  /** Smallest height and width that the network can take. */
  readonly minImageSize: number;
  readonly recipe: RecipeHints;
  readonly build: (options: Omit<NetworkOptions, 'precision'>, values: ValuesOf<Fields>) => Model;
}

export interface BuildOptions {
  /** Seed of the initial weights: an integer of at least 0. */
  readonly seed: number;
  readonly classes?: number | undefined;
  readonly channels?: number | undefined;
  /** Height and width in pixels. */
  readonly imageSize?: number | undefined;
  /** Binarizes weights only, like the suffix `-1w32a`. */
  readonly weightsOnly?: boolean | undefined;
  /** The recipe's fields, for a network of a plug-in. */
  readonly values?: ValuesOf<Fields> | undefined;
}

export type BaseEntry = Omit<ZooEntry, 'name' | 'precision' | 'build'> & {
  readonly build: (name: string, options: NetworkOptions, values: ValuesOf<Fields>) => Model;
};

const CIFAR = { input: { channels: 3, height: 32, width: 32 }, classes: 10, minImageSize: 1 };
const IMAGENET = { input: { channels: 3, height: 224, width: 224 }, classes: 1000, minImageSize: 1 };
const SGD = { optimizer: 'sgd', learningRate: 0.1, momentum: 0.9, weightDecay: 1e-4, oEnd: 3 } as const;
const ADAM = { optimizer: 'adam', learningRate: 0.005, momentum: 0.9, weightDecay: 0, oEnd: 3 } as const;
const CIFAR_RECIPE: RecipeHints = { ...SGD, epochs: 1000, batchSize: 256, warmupEpochs: 5 };
const IMAGENET_RECIPE: RecipeHints = { ...SGD, epochs: 250, batchSize: 750, warmupEpochs: 0 };

const resnet = (design: ResnetDesign) => (name: string, options: NetworkOptions) => buildResnet(name, design, options);

const BASES: Readonly<Record<string, BaseEntry>> = {
  resnet20: {
    ...CIFAR,
    describe: 'ResNet-20 for 32×32 images, 0.27 M parameters',
    recipe: CIFAR_RECIPE,
    build: resnet(RESNET20),
  },
  'resnet20-bireal': {
    ...CIFAR,
    describe: 'ResNet-20 for 32×32 images with a shortcut around every convolution (Bi-Real)',
    recipe: CIFAR_RECIPE,
    build: resnet(RESNET20_BI_REAL),
  },
  'resnet8-bireal': {
    ...CIFAR,
    describe: 'wide ResNet-8 at half resolution for 32×32 images, learns fast on a processor (Bi-Real)',
    recipe: { ...ADAM, learningRate: 0.01, epochs: 36, batchSize: 128, warmupEpochs: 3 },
    build: resnet(RESNET8_BI_REAL),
  },
  'resnet8-bireal-wide': {
    ...CIFAR,
    describe: 'resnet8-bireal with a third more channels',
    recipe: { ...ADAM, learningRate: 0.01, epochs: 100, batchSize: 128, warmupEpochs: 3 },
    build: resnet(RESNET8_BI_REAL_WIDE),
  },
  'resnet20-react': {
    ...CIFAR,
    describe: 'Bi-Real ResNet-20 with learned shifts before the signs and RPReLU (ReActNet)',
    recipe: CIFAR_RECIPE,
    build: resnet(RESNET20_REACT),
  },
  'resnet20-hardtanh': {
    ...CIFAR,
    describe: 'Bi-Real ResNet-20 with hardtanh after each addition, as in ReCU and BiPer',
    recipe: { ...CIFAR_RECIPE, epochs: 600, weightDecay: 5e-4 },
    build: resnet(RESNET20_HARDTANH),
  },
  'resnet18-cifar': {
    ...CIFAR,
    describe: 'ResNet-18 for 32×32 images, 11.2 M parameters',
    recipe: { ...CIFAR_RECIPE, epochs: 2000, batchSize: 96 },
    build: resnet(RESNET18_CIFAR),
  },
  'resnet18-half': {
    ...CIFAR,
    describe: 'Bi-Real ResNet-18 at half resolution for 32×32 images, a quarter of the multiply-adds',
    recipe: { ...ADAM, epochs: 100, batchSize: 128, warmupEpochs: 3 },
    build: resnet(RESNET18_HALF),
  },
  'vgg-small': {
    ...CIFAR,
    minImageSize: 8,
    describe: 'VGG-small for 32×32 images, 4.7 M parameters',
    recipe: CIFAR_RECIPE,
    build: buildVggSmall,
  },
  resnet18: {
    ...IMAGENET,
    describe: 'Bi-Real ResNet-18 for 224×224 images, 11.7 M parameters',
    recipe: IMAGENET_RECIPE,
    build: resnet(RESNET18),
  },
  resnet34: {
    ...IMAGENET,
    describe: 'Bi-Real ResNet-34 for 224×224 images, 21.8 M parameters',
    recipe: IMAGENET_RECIPE,
    build: resnet(RESNET34),
  },
  'binarynet-mini': {
    input: { channels: 1, height: 28, width: 28 },
    classes: 10,
    minImageSize: 9,
    describe: 'small network for 28×28 grey images, trains in seconds',
    recipe: { ...ADAM, epochs: 3, batchSize: 128, warmupEpochs: 0.2 },
    build: buildBinarynetMini,
  },
};

const VARIANTS: readonly { readonly suffix: string; readonly precision: Precision; readonly remark: string }[] = [
  { suffix: '', precision: '1w1a', remark: '' },
  { suffix: '-1w32a', precision: '1w32a', remark: '; float activations' },
  { suffix: '-fp', precision: 'fp', remark: '; full precision' },
];

/** Every network: each base name, alone (1-bit weights and activations), with `-1w32a` and with `-fp`. */
export const ZOO: ReadonlyMap<string, ZooEntry> = new Map(
  Object.entries(BASES).flatMap(([base, entry]) => withTwins(base, entry)),
);

/** A network by its names: alone and as its twins. */
export function withTwins(base: string, entry: BaseEntry): [string, ZooEntry][] {
  return VARIANTS.map(({ suffix, precision, remark }) => {
    const name = base + suffix;
    const build: ZooEntry['build'] = (options, values) =>
      entry.build(name, { ...options, precision, binaryValues: binaryValuesOf(values) }, values);
    return [name, { ...entry, name, precision, describe: entry.describe + remark, build }];
  });
}

/** As the recipe says. */
function binaryValuesOf({ binaryValues }: ValuesOf<Fields>): BinaryValues | undefined {
  return binaryValues as BinaryValues | undefined;
}

export function zooNames(): string[] {
  return [...ZOO.keys()];
}

/**
 * @param networks  the table; that of this project unless told.
 * @throws {BnnError} E_NOT_FOUND with the nearest name and the list.
 */
export function findNetwork(name: string, networks = ZOO): ZooEntry {
  const entry = networks.get(name);
  if (entry !== undefined) return entry;
  const near = nearest(name, [...networks.keys()]);
  const others = [...networks.keys()].filter((key) => !ZOO.has(key));
  throw new BnnError('E_NOT_FOUND', `no network is called "${name}"`, {
    hint: `${near === undefined ? '' : `did you mean "${near}"? `}known: ${Object.keys(BASES).join(', ')}, each also with -1w32a or -fp${others.length === 0 ? '' : `; of plug-ins: ${others.join(', ')}`}`,
  });
}

/**
 * Builds a network with fresh weights: input "input" f32[N, channels, imageSize, imageSize], output "logits" f32[N, classes].
 * Types of the values in between are left to `inferShapes`.
 *
 * @throws {BnnError} E_NOT_FOUND for an unknown name, E_USAGE for a size or seed that cannot be.
 */
export function buildModel(name: string, options: BuildOptions, networks = ZOO): Model {
  const named = findNetwork(name, networks);
  const entry =
    options.weightsOnly === true && named.precision === '1w1a' ? findNetwork(`${name}-1w32a`, networks) : named;
  const { seed, classes = entry.classes, channels = entry.input.channels } = options;
  const { imageSize = entry.input.height } = options;
  if (options.weightsOnly === true && entry.precision === 'fp') {
    throw new BnnError('E_USAGE', `${name} has no binary weights, but weights-only was asked for`, {
      hint: `build ${name.slice(0, -'-fp'.length)} instead`,
    });
  }
  for (const [what, value, least] of [
    ['seed', seed, 0],
    ['classes', classes, 1],
    ['channels', channels, 1],
    ['imageSize', imageSize, entry.minImageSize],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new BnnError('E_USAGE', `${what} is ${value}, ${name} needs an integer of at least ${least}`);
    }
  }
  return entry.build({ seed, classes, channels, imageSize }, options.values ?? {});
}
