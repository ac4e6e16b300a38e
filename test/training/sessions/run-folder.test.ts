/** A run folder that is damaged, in the way or taken away: said before anything is written, and never half a result. */

import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { selectBackend } from '../../../src/backends/select-backend.ts';
import { findModel } from '../../../src/inference/model-source-io.ts';
import { readRecipe } from '../../../src/training/sessions/run-folder-io.ts';
import type { TrainOptions } from '../../../src/training/sessions/train-options.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

const RECIPE = { limitTrain: 12, limitTest: 4, epochs: 2, batchSize: 4, backend: 'cpu', lr: 0.01 } as const;

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
/** Of two epochs, stopped in the second one. */
let stopped: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-run-'));
  await selectBackend('cpu');
  stopped = join(folder, 'stopped');
  const stop = new AbortController();
  await train(RECIPE, {
    out: stopped,
    signal: stop.signal,
    onStep: ({ epoch, batch }) => {
      if (epoch === 2 && batch === 2) stop.abort();
    },
  });
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

let copies = 0;
async function copy(): Promise<string> {
  const run = join(folder, `copy-${copies++}`);
  await cp(stopped, run, { recursive: true });
  return run;
}

async function filesOf(run: string): Promise<Record<string, string>> {
  const names = (await readdir(run, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, (await readFile(path)).toString('base64')] as const)),
  );
}

async function resume(run: string, options: Partial<TrainOptions> = {}) {
  return train((await readRecipe(run)) ?? {}, { out: run, resume: true, ...options });
}

/** The run is refused, and all files are as before. */
async function expectRefused(run: string, at: string, code = 'E_FORMAT'): Promise<void> {
  const before = await filesOf(run);
  await expect(resume(run)).rejects.toMatchObject({
    name: 'BnnError',
    code,
    at: expect.stringContaining(join(run, at)) as string,
  });
  expect(await filesOf(run)).toEqual(before);
}

describe('a flipped bit', () => {
  it.each(['last/model.onnx', 'last/optimizer.safetensors', 'last/state.json', 'last/SHA256SUMS'])(
    'in %s is found',
    async (name) => {
      const run = await copy();
      const path = join(run, name);
      const whole = await readFile(path);
      for (const share of [0, 0.31, 0.62, 0.999]) {
        const bytes = Buffer.from(whole);
        const i = Math.floor(share * bytes.length);
        bytes[i] = (bytes[i] ?? 0) ^ (1 << (i % 8));
        await writeFile(path, bytes);
        await expectRefused(run, name === 'last/SHA256SUMS' ? 'last/' : name);
      }
      await writeFile(path, whole);
      await resume(run);
    },
  );

  it('in the recipe is found where it changes what is trained', async () => {
    const run = await copy();
    const text = await readFile(join(run, 'recipe.json'), 'utf8');
    await writeFile(join(run, 'recipe.json'), text.replace('"lr": 0.01', '"lr": 0.03'));
    await expectRefused(run, 'recipe.json');
  });
});

/** Makes the run one of a version that recorded no digests. */
async function asOlderVersion(run: string, change: (state: Record<string, unknown>) => unknown = (s) => s) {
  const path = join(run, 'last/state.json');
  await rm(join(run, 'last/SHA256SUMS'));
  const { recipe: _, ...state } = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, `${JSON.stringify(change({ ...state, version: 1 }), null, 2)}\n`);
}

it('a flipped bit in the model of best/ is found by whoever reads it', async () => {
  const run = await copy();
  const path = join(run, 'best/model.onnx');
  const bytes = await readFile(path);
  bytes[1000] = (bytes[1000] ?? 0) ^ 4;
  await writeFile(path, bytes);
  for (const name of [run, join(run, 'best'), path]) {
    const found = findModel(name, name === run ? 'best' : undefined);
    await expect(found).rejects.toMatchObject({ code: 'E_FORMAT', at: path });
  }
  expect(await findModel(run, 'last')).toMatchObject({ run });
});

describe('a state that no run can have', () => {
  it.each<[string, (state: Record<string, unknown>) => unknown]>([
    ['no batch', ({ batch: _, ...state }) => state],
    ['too many steps', (state) => ({ ...state, step: 1e6 })],
    ['a negative epoch', (state) => ({ ...state, epoch: -3 })],
    ['a fraction of an epoch', (state) => ({ ...state, epoch: 1.5 })],
    ['another batch', (state) => ({ ...state, batch: 1 })],
    ['a batch beyond the epoch', (state) => ({ ...state, batch: 9, step: 12 })],
    ['half a picture', (state) => ({ ...state, partial: { ...(state['partial'] as object), images: 7.5 } })],
    ['pictures of other batches', (state) => ({ ...state, partial: { ...(state['partial'] as object), images: 4 } })],
    ['no best epoch', (state) => ({ ...state, best: null })],
    ['a best epoch to come', (state) => ({ ...state, best: { epoch: 2, top1: 0.5 } })],
    ['a field that there is not', (state) => ({ ...state, bacth: 2 })],
    ['nothing', () => null],
    ['a list', () => []],
  ])('%s', async (_, change) => {
    const run = await copy();
    await asOlderVersion(run, change);
    await expectRefused(run, 'last/state.json');
  });
});

describe('a history that does not belong to the checkpoint', () => {
  const row = (text: string) => JSON.parse(text) as Record<string, unknown>;
  it.each<[string, (text: string) => string]>([
    ['none', () => ''],
    [
      'two epochs more',
      (text) => text + [2, 3].map((epoch) => `${JSON.stringify({ ...row(text), epoch })}\n`).join(''),
    ],
    ['another epoch', (text) => `${JSON.stringify({ ...row(text), epoch: 5 })}\n`],
    ['a damaged line before the last', (text) => `x${text}${text}`],
    ['an accuracy of 7', (text) => `${JSON.stringify({ ...row(text), testTop1: 7 })}\n`],
    ['null', () => 'null\n'],
  ])('%s', async (_, change) => {
    const run = await copy();
    const path = join(run, 'history.jsonl');
    await writeFile(path, change(await readFile(path, 'utf8')));
    await expectRefused(run, 'history.jsonl');
  });
});

it('a run of an earlier version goes on, with a word about its digests', async () => {
  const run = await copy();
  await asOlderVersion(run);
  const notes: string[] = [];
  expect(await resume(run, { onNote: (note) => notes.push(note) })).toMatchObject({ epochs: 2 });
  expect(notes).toEqual([expect.stringContaining('without digests')]);
  await resume(run, { onNote: (note) => notes.push(note) });
  expect(notes).toHaveLength(1);
});

it('a run that fails before it has learned anything leaves nothing, and the corrected one starts', async () => {
  const out = join(folder, 'new', 'run');
  const fails = train({ ...RECIPE, teacher: 'x' }, { out, teacher: () => Promise.reject(new Error('broken')) });
  await expect(fails).rejects.toThrow('broken');
  await expect(readdir(join(folder, 'new'))).rejects.toThrow('ENOENT');
  await train({ ...RECIPE, epochs: 1 }, { out });
  expect((await readdir(out)).sort()).toEqual([
    'best',
    'curves.svg',
    'history.csv',
    'history.jsonl',
    'last',
    'recipe.json',
  ]);
});

it('a new run takes the place of one that was killed before its first step, with what it left', async () => {
  const out = join(folder, 'killed');
  const aborted = new AbortController();
  aborted.abort();
  const start = train({ ...RECIPE, epochs: 1 }, { out, onStart: () => void 0, signal: aborted.signal });
  await start;
  // As it was before the step that an interrupted run still takes.
  const begun = join(out, 'last/state.json');
  const state = JSON.parse(await readFile(begun, 'utf8'));
  await writeFile(begun, JSON.stringify({ ...state, epoch: 0, batch: 0 }));
  await mkdir(join(out, 'last.tmp-0123abcd'));
  await train({ ...RECIPE, epochs: 1, lr: 0.02 }, { out });
  expect((await readdir(out)).sort()).toEqual([
    'best',
    'curves.svg',
    'history.csv',
    'history.jsonl',
    'last',
    'recipe.json',
  ]);
  expect(await readRecipe(out)).toMatchObject({ lr: 0.02 });
  await expect(train(RECIPE, { out })).rejects.toMatchObject({ code: 'E_USAGE' });
});

it.each(['deleted', 'renamed', 'replaced'])(
  'a folder that is %s while training is an error, and is not made anew',
  async (what) => {
    const out = join(folder, what);
    let isDone = false;
    const result = train(RECIPE, {
      out,
      onEpoch: async () => {
        if (isDone) return;
        isDone = true;
        if (what === 'deleted') await rm(out, { recursive: true });
        else await rename(out, `${out}-away`);
        if (what === 'replaced') await mkdir(out);
      },
    });
    await expect(result).rejects.toMatchObject({ code: 'E_IO', at: out });
    if (what === 'replaced') expect(await readdir(out)).toEqual([]);
    else await expect(readdir(out)).rejects.toThrow('ENOENT');
    if (what !== 'deleted') expect(await resume(`${out}-away`)).toMatchObject({ epochs: 2, interrupted: false });
  },
);

it.each(['best', 'last', 'history.jsonl'])('%s in the way is found before anything is computed', async (name) => {
  const out = join(folder, `way-${name}`);
  await mkdir(out);
  if (name.includes('.')) await mkdir(join(out, name));
  else await writeFile(join(out, name), '');
  const onStart = vi.fn();
  await expect(train(RECIPE, { out, onStart })).rejects.toMatchObject({ code: 'E_IO' });
  expect(onStart).not.toHaveBeenCalled();
});

describe('a partial recipe', () => {
  it('has defaults', async () => {
    const out = join(folder, 'partial');
    await train({ limitTrain: 4, limitTest: 4, epochs: 1, batchSize: 4, backend: 'cpu' }, { out });
    expect(await readRecipe(out)).toMatchObject({ model: 'binarynet-mini', estimator: 'reste' });
  });

  it('is checked', async () => {
    await expect(train({ epochs: 0 }, { out: join(folder, 'no') })).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(train({ epoch: 1 }, { out: join(folder, 'no') })).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});

it('of another machine, what was being written counts as abandoned only after a day', async () => {
  const out = join(folder, 'files');
  await mkdir(out);
  const { writeFileAtomic } = await import('../../../src/core/files/atomic-file-io.ts');
  const { thisProcess } = await import('../../../src/core/files/process-identity-io.ts');
  const { scope, pid, start } = thisProcess();
  const mine = `x.onnx.tmp-${scope}-${pid.toString(36)}-${Number(start).toString(36)}-0123`;
  const dead = `x.onnx.tmp-${scope}-${pid.toString(36)}-1-0123`;
  const [fresh, old] = ['x.onnx.tmp-01234567-a-b-0123', 'x.onnx.tmp-01234567-a-c-0123'];
  const other = 'x.onnx.tmp-notes.txt';
  for (const name of [mine, dead, fresh, old, other]) await writeFile(join(out, name), '');
  const yesterday = Date.now() / 1000 - 25 * 3600;
  await utimes(join(out, old), yesterday, yesterday);
  await writeFileAtomic(join(out, 'x.onnx'), 'new');
  expect((await readdir(out)).sort()).toEqual(['x.onnx', other, fresh, mine].sort());
});

it.each([4, 64])('batches of %i of 12 pictures: the time left is that of the batches left', async (batchSize) => {
  const told: { left: number; rate: number; images: number }[] = [];
  const out = join(folder, `left-${batchSize}`);
  await train(
    { ...RECIPE, batchSize, epochs: 3 },
    {
      out,
      onStep: ({ epoch, batch, batches, secondsLeft, imagesPerSecond }) =>
        told.push({ left: secondsLeft, rate: imagesPerSecond, images: 12 * (3 - (epoch - 1 + batch / batches)) }),
    },
  );
  expect(told.length).toBeGreaterThan(2);
  for (const { left, rate, images } of told) expect(left * rate).toBeCloseTo(images, 6);
});
