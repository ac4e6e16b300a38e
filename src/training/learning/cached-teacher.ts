/**
 * A teacher that is asked once for each picture: what it said is kept by the picture's pixels, as augmented. The bits are those without
 * this where a teacher answers each picture by itself, as networks do that are run for evaluation.
 *
 * It pays where pictures come again as they were: with few crops and flips, or many epochs. Cutout and mixup make each picture new.
 */

import { createHash } from 'node:crypto';

/** f32[count][height][width][channels] → logits f32[count][classes]. */
export type AskTeacher = (images: Float32Array, count: number) => Promise<Float32Array>;

/** Of an entry, beside its logits. */
const OVERHEAD_BYTES = 160;

/** @param capacityBytes  what the answers may take; when it is full, nothing more is kept. */
export function cachedTeacher(teacher: AskTeacher, capacityBytes: number): AskTeacher {
  const answers = new Map<string, Float32Array>();
  let bytes = 0;
  const keep = (key: string, answer: Float32Array): void => {
    const size = answer.byteLength + OVERHEAD_BYTES;
    if (bytes + size > capacityBytes || answers.has(key)) return;
    answers.set(key, answer);
    bytes += size;
  };
  return async (images, count) => {
    const pixels = images.length / count;
    const pictures = Array.from({ length: count }, (_, n) => images.subarray(n * pixels, (n + 1) * pixels));
    const keys = pictures.map(keyOf);
    const missing = keys.flatMap((key, n) => (answers.has(key) ? [] : [n]));
    const asked = missing.length === count ? images : joined(missing.map((n) => pictures[n] ?? new Float32Array(0)));
    const found = missing.length === 0 ? new Float32Array(0) : await teacher(asked, missing.length);
    const known = answers.get(keys.find((key) => answers.has(key)) ?? '');
    const classes = known?.length ?? found.length / missing.length;
    const result = new Float32Array(count * classes);
    for (const [n, key] of keys.entries()) {
      const answer = answers.get(key);
      if (answer !== undefined) result.set(answer, n * classes);
    }
    for (const [i, n] of missing.entries()) {
      const answer = found.slice(i * classes, (i + 1) * classes);
      result.set(answer, n * classes);
      keep(keys[n] ?? '', answer);
    }
    return result;
  };
}

function keyOf(picture: Float32Array): string {
  return createHash('sha1').update(picture).digest('base64');
}

function joined(pictures: readonly Float32Array[]): Float32Array {
  const pixels = pictures[0]?.length ?? 0;
  const all = new Float32Array(pictures.length * pixels);
  for (const [i, picture] of pictures.entries()) all.set(picture, i * pixels);
  return all;
}
