import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sharedData } from './shared-data.ts';

/** 1,000 pictures of ImageNet, one of each class, with a shorter side of 256. */
export const SAMPLE = sharedData('imagenet-sample');
export const SAMPLE_NOTE = SAMPLE.isMissing ? ' (skipped: ../shared is not here)' : '';

/** A folder with the first `count` classes of the sample; the picture of the first class is cut off, and its path returned. */
export async function linkSample(folder: string, count = 1000): Promise<string> {
  await mkdir(join(folder, 'val'), { recursive: true });
  await symlink(join(SAMPLE.path, 'classes.txt'), join(folder, 'classes.txt'));
  const [first = '', ...others] = (await readdir(join(SAMPLE.path, 'val'))).sort().slice(0, count);
  for (const name of others) await symlink(join(SAMPLE.path, 'val', name), join(folder, 'val', name));
  const [picture = ''] = await readdir(join(SAMPLE.path, 'val', first));
  await mkdir(join(folder, 'val', first));
  const broken = join(folder, 'val', first, picture);
  await writeFile(broken, (await readFile(join(SAMPLE.path, 'val', first, picture))).subarray(0, 2000));
  return broken;
}
