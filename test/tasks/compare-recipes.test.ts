import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, expect, it } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import { packageModel } from '../../src/inference/package-models-io.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { type ComparisonPlan, compareRecipes } from '../../src/tasks/compare-recipes.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-compare-recipes-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('tells its plan before any work, and what that throws stops it', async () => {
  const out = join(folder, 'out');
  const plans: ComparisonPlan[] = [];
  const comparing = compareRecipes(parseRecipe([{ epochs: 2, validation: 100, lr: 0.5 }]), {
    out,
    arms: ['base:', 'wide:estimator=ste,steClip=2'],
    oEnds: [1],
    seeds: [1, 2],
    tuneLrs: [0.1, 0.2, 0.3],
    onPlan: (plan) => {
      plans.push(plan);
      throw new RangeError('not today');
    },
    onStart: () => expect.unreachable(),
  });
  await expect(comparing).rejects.toThrow('not today');
  const [{ arms, recipes, runs, tuning }] = plans as [ComparisonPlan];
  expect(arms.map(({ name }) => name)).toEqual(['base', 'wide', 'reste o=1']);
  expect(recipes.map(({ estimator, steClip, oEnd, lr }) => [estimator, steClip, oEnd, lr])).toEqual([
    ['reste', 1, 3, 0.5],
    ['ste', 2, 3, 0.5],
    ['reste', 1, 1, 0.5],
  ]);
  expect(tuning).toEqual({ lrs: [0.1, 0.2, 0.3], seeds: [1001] });
  // Each arm with three rates for one seed, then with two seeds.
  expect(runs).toBe(3 * (3 * 1 + 2));
  expect(existsSync(out)).toBe(false);
});

it.each([
  ['an arm that does nothing', { arms: ['base:', 'wide:steClip=2'] }, /steClip does nothing in arm "wide"/],
  ['a seed twice', { estimators: ['ste', 'reste'], seeds: [1, 1] }, /a seed is given twice/],
  ['rates without held-out pictures', { estimators: ['ste', 'reste'], tuneLrs: [1, 2] }, /none are held out/],
])('refuses %s before any work', async (_, options, message) => {
  const out = join(folder, 'refused');
  await expect(compareRecipes(parseRecipe([]), { out, ...options })).rejects.toMatchObject({
    code: 'E_USAGE',
    message: expect.stringMatching(message),
  });
  expect(existsSync(out)).toBe(false);
});

it('an arm that starts from a file of its own has its digest, and the latent form of a network of the package', async () => {
  const [shared, own] = ['a.onnx', 'b.onnx'].map((name) => join(folder, name)) as [string, string];
  for (const [seed, file] of [shared, own].entries()) await writeModel(file, buildModel('binarynet-mini', { seed }));
  const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
  const { latent } = packageModel('cifar10-resnet8-bireal')!;
  const planned = async (...arms: string[]) => {
    let plan: ComparisonPlan | undefined;
    await compareRecipes(parseRecipe([{ init: shared, initSha256: digest(shared) }]), {
      ...{ out: join(folder, 'starts'), arms: ['base:', ...arms] },
      onPlan: (given) => {
        plan = given;
        throw new RangeError('seen');
      },
    }).catch((error: unknown) => {
      if (!(error instanceof RangeError)) throw error;
    });
    return plan!.recipes.map(({ model, init, initSha256 }) => [model, init, initSha256]);
  };
  expect(
    await planned(`own:init=${own}`, 'named:init=cifar10-resnet8-bireal', 'fresh:init=,model=binarynet-mini'),
  ).toEqual([
    ['', shared, digest(shared)],
    ['', own, digest(own)],
    ['', latent, digest(latent!)],
    ['binarynet-mini', '', ''],
  ]);
  await expect(planned(`own:init=${own},initSha256=${digest(shared)}`)).rejects.toMatchObject({ code: 'E_FORMAT' });
  await expect(planned(`own:initSha256=${digest(own)}`)).rejects.toMatchObject({ code: 'E_FORMAT', at: shared });
  await expect(planned(`own:init=${join(folder, 'none.onnx')}`)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  await expect(planned('fresh:init=')).rejects.toThrow('arm "fresh" starts from no file, and names no network');
  await expect(planned('fresh:init=,model=binarynet-maxi')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});

it.skipIf(!loadNativeAddon().ok)(
  'what trainings say of their data, and pictures that they leave out, are told once',
  { timeout: 60_000 },
  async () => {
    const photos = join(folder, 'photos');
    for (const [split, count] of Object.entries({ train: 9, test: 4 })) {
      for (const [k, name] of ['dark', 'light'].entries()) {
        mkdirSync(join(photos, split, name), { recursive: true });
        const background = { r: 200 * k, g: 99, b: 40 };
        const picture = sharp({ create: { width: 32, height: 32, channels: 3, background } });
        for (let i = 0; i < count; i++) await picture.png().toFile(join(photos, split, name, `${i}.png`));
      }
    }
    const broken = join(photos, 'train', 'dark', '0.png');
    writeFileSync(broken, readFileSync(broken).subarray(0, 60));
    const said: string[] = [];
    const { comparison } = await compareRecipes(
      {
        ...{ dataset: 'image-folder', data: photos, imageSize: 28, brokenImages: 'skip' },
        ...{ epochs: 1, batchSize: 9, backend: 'native', threads: 1 },
      },
      {
        ...{ out: join(folder, 'told'), estimators: ['ste', 'reste'], seeds: [1, 2] },
        onNote: (note) => said.push(note),
        onBrokenImage: ({ at }) => said.push(at),
      },
    );
    expect(comparison.arms.map(({ runs }) => runs.length)).toEqual([2, 2]);
    expect(said).toHaveLength(2);
    expect(said).toContain(broken);
    expect(said).toContainEqual(expect.stringMatching(/^an epoch is 2 steps of 9 pictures/));
  },
);
