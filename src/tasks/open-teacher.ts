/** The network that a recipe wants to be imitated, run by onnxruntime. */

import type { Communicator } from '../distributed/communicator.ts';
import { threadsOf } from '../distributed/share-cores.ts';
import type { Recipe } from '../training/recipes/recipe.ts';
import type { Teacher } from '../training/sessions/train-options.ts';
import { digestOfFile } from '../training/start/file-digest-io.ts';

export interface OpenedTeacher {
  /** Undefined where the recipe names none. */
  readonly teacher: Teacher | undefined;
  close(): Promise<void>;
}

/**
 * Opens the teacher of a recipe, an ONNX file, for `train`. It sees what the network sees, so it must have been trained on the same
 * normalization.
 *
 * @param communicator  of several processes, which share the cores of their machine; all of them call this.
 * @throws {BnnError} as `openSession`; E_FORMAT when the recipe has the digest of another file.
 */
export async function openTeacher(
  recipe: Pick<Recipe, 'teacher' | 'threads'> & Partial<Pick<Recipe, 'teacherSha256'>>,
  communicator?: Communicator,
): Promise<OpenedTeacher> {
  const { teacher: file, teacherSha256 = '' } = recipe;
  if (file === '') return { teacher: undefined, close: async () => {} };
  if (teacherSha256 !== '') await digestOfFile('teacher', file, teacherSha256);
  const threads = recipe.threads || (communicator === undefined ? 0 : threadsOf(communicator));
  // Loaded on demand: most trainings do not need onnxruntime.
  const { openSession } = await import('../inference/open-session.ts');
  const { imageInputOf, runImages, toChannelsFirst } = await import('../inference/image-input.ts');
  const { logitsBehind } = await import('../graph/output-form.ts');
  const { readOutputForm } = await import('../inference/output-form-io.ts');
  const formOf = await readOutputForm(file);
  const session = await openSession(file, { threads, restBetweenRuns: true });
  const { batch: fixedBatch } = imageInputOf(session);
  const teacher: Teacher = async (images, count, { height, width, channels }) => {
    const planar = toChannelsFirst(images, count, channels);
    const { data, shape } = await runImages(session, planar, count, [channels, height, width], fixedBatch);
    const outputs = shape[1] ?? 1;
    return logitsBehind(data, outputs, formOf(outputs));
  };
  return { teacher, close: () => session.dispose() };
}
