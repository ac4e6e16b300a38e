/** The network that a recipe wants to be imitated, run by onnxruntime. */

import type { ChannelStatistics } from '../data/normalization.ts';
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
 * Opens the teacher of a recipe, an ONNX file, for `train`. It sees the pictures that the network sees, normalized as its own file says where
 * that says it.
 *
 * @param communicator  of several processes, which share the cores of their machine; all of them call this.
 * @throws {BnnError} as `openSession`; E_FORMAT when the recipe has the digest of another file. The teacher: E_SHAPE where its file has
 *   the classes of the data in another order.
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
  const { readFacts } = await import('../inference/model-facts-io.ts');
  const { compareClassNames } = await import('../inference/class-names.ts');
  const { preprocessing, formOf } = await readFacts(file);
  const session = await openSession(file, { threads, restBetweenRuns: true });
  const { batch: fixedBatch } = imageInputOf(session);
  const teacher: Teacher = async (images, count, shown) => {
    const { height, width, channels, classes } = shown;
    if (preprocessing !== null) {
      const own = { of: 'the teacher', at: file, classes: preprocessing.classes };
      compareClassNames([own, { of: 'the data', at: file, classes }]);
    }
    const planar = renormalized(toChannelsFirst(images, count, channels), count, shown, preprocessing ?? shown);
    const { data, shape } = await runImages(session, planar, count, [channels, height, width], fixedBatch);
    const outputs = shape[1] ?? 1;
    return logitsBehind(data, outputs, formOf(outputs));
  };
  return { teacher, close: () => session.dispose() };
}

/** Pictures f32[count][channels][height × width] that were normalized one way, as another would have made them. */
function renormalized(
  planar: Float32Array,
  count: number,
  from: ChannelStatistics,
  to: ChannelStatistics,
): Float32Array {
  const changes = from.mean.map((mean, c) => {
    const [std = 1, ownMean = 0, ownStd = 1] = [from.std[c], to.mean[c], to.std[c]];
    return { mean, std, ownMean, ownStd, isNone: mean === ownMean && std === ownStd };
  });
  if (to.mean.length !== changes.length || changes.every(({ isNone }) => isNone)) return planar;
  const pixels = planar.length / (count * changes.length);
  return planar.map((x, i) => {
    const change = changes[Math.floor(i / pixels) % changes.length];
    return change === undefined || change.isNone ? x : (x * change.std + change.mean - change.ownMean) / change.ownStd;
  });
}
