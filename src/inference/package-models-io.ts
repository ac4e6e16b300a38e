/** What comes with the package in `models/`: recipes, and trained models by the names of their folders. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Both `src/inference` and `dist/inference` lie two levels below the package. */
const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
const SCHEMA = 'recipe.schema.json';

/** A name, where a path could be: it leads nowhere. */
const NAME = /^[\w-]+$/;

export interface PackageModel {
  readonly name: string;
  readonly folder: string;
  /** The packed form. */
  readonly packed: string;
  /** What a training can start from; null where the package leaves it out. */
  readonly latent: string | null;
}

/** @returns null where the package has no such trained model. */
export function packageModel(name: string): PackageModel | null {
  const folder = join(MODELS, name);
  const packed = join(folder, 'model.onnx');
  if (!NAME.test(name) || !existsSync(packed)) return null;
  const latent = join(folder, 'latent.onnx');
  return { name, folder, packed, latent: existsSync(latent) ? latent : null };
}

export function packageModels(): PackageModel[] {
  return entries().flatMap((name) => packageModel(name) ?? []);
}

/** The file of a recipe of the package, by its name without `.json`; null where there is none. */
export function packageRecipe(name: string): string | null {
  const file = join(MODELS, `${name}.json`);
  return NAME.test(name) && existsSync(file) ? file : null;
}

export function packageRecipes(): string[] {
  const files = entries().filter((file) => file.endsWith('.json') && file !== SCHEMA);
  return files.map((file) => file.slice(0, -'.json'.length));
}

function entries(): string[] {
  return existsSync(MODELS) ? readdirSync(MODELS).sort() : [];
}
