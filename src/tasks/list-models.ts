/** What there is to train and to run: networks by name, recipes, and trained models. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fields, ValuesOf } from '../core/field.ts';
import { parseJsonObject } from '../core/formats/parse-json.ts';
import { packageModels, packageRecipe, packageRecipes } from '../inference/package-models-io.ts';
import { defaultRecipe } from '../training/recipes/parse-recipe.ts';
import type { Parts } from '../training/recipes/parts.ts';
import { buildModel, type ZooEntry } from '../zoo/zoo.ts';
import { summarizeModel } from './model-summary.ts';
import { readRecipeFile } from './read-recipe.ts';

export interface NetworkListing {
  readonly name: string;
  readonly description: string;
  /** Channels, height and width of a picture. */
  readonly input: readonly [number, number, number];
  readonly classes: number;
  readonly oneBitParameters: number;
  readonly floatParameters: number;
  /** At one bit for each binary weight and four bytes for each other parameter. */
  readonly packedBytes: number;
  readonly variants: readonly string[];
}

export interface RecipeListing {
  readonly name: string;
  readonly description: string;
  readonly model: string;
  readonly dataset: string;
  readonly epochs: number;
}

export interface TrainedListing {
  readonly name: string;
  readonly network: string;
  readonly dataset: string;
  /** Of the packed file. */
  readonly fileBytes: number;
  /** Shares of the test set, packed, in stock onnxruntime. */
  readonly top1: number;
  readonly top5: number;
  readonly testPictures: number;
  readonly file: string;
  /** What a training can start from. */
  readonly latent: string | null;
}

export interface ModelListing {
  readonly networks: readonly NetworkListing[];
  readonly recipes: readonly RecipeListing[];
  readonly trained: readonly TrainedListing[];
}

/** Parameters of one bit and of 32: building a large network to count them takes seconds. A test counts them again. */
export const NETWORK_PARAMETERS: Readonly<Record<string, readonly [oneBit: number, float: number]>> = {
  resnet20: [267_264, 2586],
  'resnet20-bireal': [267_264, 2586],
  'resnet8-bireal': [663_552, 35_578],
  'resnet8-bireal-wide': [1_179_648, 57_674],
  'resnet20-react': [267_264, 5226],
  'resnet20-hardtanh': [267_264, 2586],
  'resnet18-cifar': [10_985_472, 189_514],
  'resnet18-half': [10_985_472, 189_514],
  'vgg-small': [4_571_136, 88_970],
  resnet18: [10_985_472, 705_064],
  resnet34: [21_086_208, 712_488],
  'binarynet-mini': [55_296, 6890],
};

/** @param parts  the tables with the networks, those of plug-ins too. */
export async function listModels({ networks, rules }: Parts): Promise<ModelListing> {
  const values = Object.fromEntries(Object.entries(rules.fields).map(([name, field]) => [name, field.default]));
  const bases = [...networks.values()].filter(({ precision }) => precision === '1w1a');
  return {
    networks: bases.map((entry) => describeNetwork(entry, networks, values)),
    recipes: await Promise.all(packageRecipes().map(describeRecipe)),
    trained: await Promise.all(packageModels().map(({ folder, ...files }) => describeTrained(folder, files))),
  };
}

type Values = ValuesOf<Fields>;

function describeNetwork(entry: ZooEntry, networks: ReadonlyMap<string, ZooEntry>, values: Values): NetworkListing {
  const { name, describe, input, classes } = entry;
  const [oneBitParameters, floatParameters] = NETWORK_PARAMETERS[name] ?? countParameters(name, networks, values);
  return {
    name,
    description: describe,
    input: [input.channels, input.height, input.width],
    classes,
    oneBitParameters,
    floatParameters,
    packedBytes: oneBitParameters / 8 + 4 * floatParameters,
    variants: [`${name}-1w32a`, `${name}-fp`].filter((twin) => networks.has(twin)),
  };
}

export function countParameters(
  name: string,
  networks: ReadonlyMap<string, ZooEntry>,
  values: Values = {},
): readonly [number, number] {
  const { oneBitParameters, floatParameters } = summarizeModel(buildModel(name, { seed: 0, values }, networks));
  return [oneBitParameters, floatParameters];
}

async function describeRecipe(name: string): Promise<RecipeListing> {
  const fields = await readRecipeFile(packageRecipe(name) ?? name);
  const { model, dataset, epochs } = { ...defaultRecipe(), ...fields };
  return { name, description: String(fields['description'] ?? ''), model, dataset, epochs };
}

interface Card {
  readonly recipe: { readonly fields: { readonly model: string; readonly dataset: string } };
  readonly figures: {
    readonly fileBytes: number;
    readonly packedTop1: number;
    readonly packedTop5: number;
    readonly testPictures: number;
  };
}

async function describeTrained(
  folder: string,
  { name, packed, latent }: { readonly name: string; readonly packed: string; readonly latent: string | null },
): Promise<TrainedListing> {
  const path = join(folder, 'card.json');
  // Written by tools/make-card.ts, and part of the package.
  const { recipe, figures } = parseJsonObject(await readFile(path, 'utf8'), path) as unknown as Card;
  return {
    name,
    network: recipe.fields.model,
    dataset: recipe.fields.dataset,
    fileBytes: figures.fileBytes,
    top1: figures.packedTop1,
    top5: figures.packedTop5,
    testPictures: figures.testPictures,
    file: packed,
    latent,
  };
}
