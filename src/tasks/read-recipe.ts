/** The recipe file that a command is given. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseJsonObject } from '../core/formats/parse-json.ts';
import { nearest } from '../core/nearest.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import { findModel } from '../inference/model-source-io.ts';
import { packageModel, packageRecipe, packageRecipes } from '../inference/package-models-io.ts';
import type { Recipe, RecipeInput } from '../training/recipes/recipe.ts';
import { digestOfFile } from '../training/start/file-digest-io.ts';

/**
 * @param path  a file, or the name of a recipe of the package where no such file is.
 * @throws {BnnError} E_NOT_FOUND, E_IO, E_USAGE for a network, or E_FORMAT when it is not a JSON object.
 */
export async function readRecipeFile(path: string): Promise<RecipeInput> {
  if (path.endsWith('.onnx')) {
    throw new BnnError('E_USAGE', 'this is a network, expected a recipe as JSON', {
      at: path,
      hint: `to start from this network, give --init ${path}`,
    });
  }
  const file = existsSync(path) ? path : (packageRecipe(path) ?? path);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') throw noRecipe(path, error);
    if (code === 'EISDIR') throw isFolder(path, error);
    throw fromSystemError(error, 'read the recipe', path);
  }
  return parseJsonObject(text, file);
}

/** Most likely of pictures, or of a run. */
function isFolder(path: string, cause: unknown): BnnError {
  const isRun = existsSync(join(path, 'recipe.json'));
  return new BnnError('E_USAGE', 'this is a folder, expected a recipe as JSON', {
    at: path,
    hint: isRun
      ? `--resume --out ${path} continues this run, --init ${path} starts from its weights`
      : `to train on the pictures in it, give --dataset image-folder --data ${path}`,
    cause,
  });
}

function noRecipe(path: string, cause: unknown): BnnError {
  const name = nearest(basename(path, '.json'), packageRecipes());
  const advice = name === undefined ? 'bnn models lists those of the package' : `${name} is one of the package`;
  return new BnnError('E_NOT_FOUND', 'cannot read the recipe: there is no such file (ENOENT)', {
    at: path,
    hint: `check the path, or give a recipe by its name: ${advice}`,
    cause,
  });
}

/**
 * The recipe with the ONNX file in place of a run folder, where a run starts from one or imitates one, and the digest of the teacher. (That of
 * what it starts from is taken when the run begins.)
 *
 * @throws {BnnError} E_NOT_FOUND; E_FORMAT when the recipe has the digest of another teacher.
 */
export async function withModelFiles(recipe: Recipe): Promise<Recipe> {
  const { teacher, teacherSha256: expected } = await withTeacherFile(recipe);
  const teacherSha256 = teacher === '' ? '' : await digestOfFile('teacher', teacher, expected);
  return { ...recipe, init: await startFileOf(recipe.init), teacher, teacherSha256 };
}

/**
 * The ONNX file that a run starts from, where a recipe names it, a run folder, or a network of the package; '' where it names none.
 *
 * @throws {BnnError} E_NOT_FOUND.
 */
export function startFileOf(init: string): Promise<string> {
  // What is trained on is the latent form.
  return fileOf(existsSync(init) ? init : (packageModel(init)?.latent ?? init));
}

/**
 * The recipe of a run that goes on, with the ONNX file in place of a run folder that it imitates: wherever the file lies by now, its digest
 * tells that it is the same.
 *
 * @throws {BnnError} E_NOT_FOUND.
 */
export async function withTeacherFile(recipe: Recipe): Promise<Recipe> {
  return { ...recipe, teacher: await fileOf(recipe.teacher) };
}

async function fileOf(path: string): Promise<string> {
  return path === '' ? '' : (await findModel(path)).path;
}
