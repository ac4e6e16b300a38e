/** Trainings that are watched: event files for TensorBoard, and a page that is served meanwhile. */

import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findChromium, launchChromium } from '../../src/tasks/chromium-io.ts';
import { joinListeners } from '../../src/tasks/join-listeners.ts';
import { type LiveServer, serveTraining } from '../../src/tasks/live-server-io.ts';
import { TensorboardLog } from '../../src/tasks/tensorboard-run-io.ts';
import { defaultRecipe, parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { readHistory } from '../../src/training/sessions/history-io.ts';
import { train } from '../../src/training/sessions/trainer.ts';
import { readEvents } from '../tensorboard/read-events.ts';
import { becomesTrue } from '../web/becomes-true.ts';
import { lowContrast } from '../web/contrast.ts';

const RECIPE = {
  limitTrain: 8,
  limitTest: 6,
  epochs: 2,
  batchSize: 4,
  backend: 'cpu',
  lr: 0.01,
  weightTransform: 'recu',
  emaDecay: 0.9,
  mixup: 0.2,
} as const;

vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-watched-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function resultOf(run: string): Promise<unknown> {
  const records = await readHistory(join(run, 'history.jsonl'));
  const timeless = records.map((record) => ({ ...record, seconds: 0, imagesPerSecond: 0, waitShare: 0 }));
  return [
    timeless,
    await readFile(join(run, 'last/model.onnx')),
    await readFile(join(run, 'last/optimizer.safetensors')),
  ];
}

async function eventsOf(run: string) {
  const names = (await readdir(join(run, 'tensorboard'))).sort();
  return Promise.all(names.map(async (name) => readEvents(await readFile(join(run, 'tensorboard', name)))));
}

/** Trains with everything that watches. */
async function trainWatched(
  out: string,
  signal?: AbortSignal,
  resume = false,
  onEpoch = (): void => {},
): Promise<void> {
  const log = new TensorboardLog(join(out, 'tensorboard'), (note) => expect.fail(note));
  const server = await serveTraining(out, parseRecipe([{ ...RECIPE }]), 0);
  const listeners = joinListeners([log.listeners, server.listeners, { onEpoch }]);
  await train(RECIPE, { out, resume, ...(signal && { signal }), ...listeners });
  await log.close();
  await server.close('over');
}

it('they come to the same result, bit for bit', async () => {
  const [plain, watched] = [join(folder, 'plain'), join(folder, 'watched')];
  await train(RECIPE, { out: plain });
  await trainWatched(watched);
  expect(await resultOf(watched)).toEqual(await resultOf(plain));
});

it('the events are those of the history, with histograms of what is learned and pictures of mistakes', async () => {
  const [{ version, values } = expect.fail()] = await eventsOf(join(folder, 'watched'));
  expect(version).toBe('brain.Event:2');
  const records = await readHistory(join(folder, 'watched/history.jsonl'));
  const scalars = (tag: string) =>
    values.filter((value) => value.tag === tag).map(({ step, scalar }) => [step, scalar]);
  expect(scalars('accuracy/test')).toEqual(records.map(({ epoch, testTop1 }) => [epoch, Math.fround(testTop1)]));
  expect(scalars('loss/train')).toEqual(records.map(({ epoch, trainLoss }) => [epoch, Math.fround(trainLoss)]));
  const histograms = values.filter(({ histogram }) => histogram !== undefined);
  const conv = histograms.filter(({ tag }) => tag === 'weights/conv1.weight');
  expect(conv.map(({ step }) => step)).toEqual([1, 2]);
  expect(conv[0]!.histogram!.counts.reduce((a, b) => a + b)).toBe(conv[0]!.histogram!.num);
  const gradients = histograms.filter(({ tag }) => tag.startsWith('gradients/'));
  expect(gradients.length).toBe(histograms.length / 2);
  expect(gradients.some(({ histogram }) => histogram!.max > 0)).toBe(true);
  // Pictures of the data, with what they are and what they were taken for.
  const wrong = records.map(({ testTop1 }) => Math.round((1 - testTop1) * RECIPE.limitTest));
  for (const [i, { epoch }] of records.entries()) {
    const images = values.filter(({ step, image }) => step === epoch && image !== undefined);
    expect(images).toHaveLength(wrong[i]!);
    for (const { image } of images) {
      expect(await sharp(image!.png).metadata()).toMatchObject({ format: 'png', width: 28, height: 28 });
    }
    const list = values.find(({ step, tag }) => step === epoch && tag === 'mistakes/list');
    expect(list?.text?.split('\n')).toHaveLength(2 + wrong[i]!);
  }
  expect(values.find(({ tag }) => tag === 'recipe')?.text).toContain('| lr | 0.01 |');
});

it('a resumed run goes on in a new file', async () => {
  const out = join(folder, 'resumed');
  const stop = new AbortController();
  await trainWatched(out, stop.signal, false, () => stop.abort());
  await trainWatched(out, undefined, true);
  const files = await eventsOf(out);
  const steps = files.map(({ values }) => values.filter(({ tag }) => tag === 'accuracy/test').map(({ step }) => step));
  expect(steps).toEqual([[1], [2]]);
  expect(files.map(({ starts }) => starts)).toEqual([[], [2]]);
  expect(await resultOf(out)).toEqual(await resultOf(join(folder, 'plain')));
});

it('a training goes on where events cannot be written, and says so', async () => {
  const file = join(folder, 'a-file');
  await writeFile(file, '');
  const notes: string[] = [];
  const log = new TensorboardLog(join(file, 'x'), (note) => notes.push(note));
  const { epochs } = await train(RECIPE, { out: join(folder, 'unwritten'), ...log.listeners });
  expect(epochs).toBe(2);
  expect(notes).toEqual([expect.stringContaining('no more events for TensorBoard')]);
});

describe('the page of a training', () => {
  let server: LiveServer;
  let port: number;
  beforeAll(async () => {
    server = await serveTraining(join(folder, 'run <1>'), defaultRecipe(), 0);
    port = Number(new URL(server.url).port);
  });
  afterAll(() => server.close('over'));

  function get(path: string, host = `127.0.0.1:${port}`, method = 'GET'): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, method, headers: { host } }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
          // A stream of events has no end.
          if (path === '/events' && text.includes('\n\n')) response.destroy();
        });
        response.on('close', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on('error', reject).end();
    });
  }

  it('is on the loopback address alone', () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  });

  it.each(['evil.example', `evil.example:1`, '127.0.0.1'])('refuses the host "%s"', async (host) => {
    for (const path of ['/', '/events']) expect((await get(path, host)).status).toBe(403);
  });

  it('answers to its address and to localhost, by GET alone', async () => {
    const { status, text } = await get('/', `localhost:${port}`);
    expect(status).toBe(200);
    expect(text).toContain('run &lt;1&gt;');
    expect((await get('/', undefined, 'POST')).status).toBe(405);
    expect((await get('/', undefined, 'HEAD')).text).toBe('');
    expect((await get('/recipe.json')).status).toBe(404);
    expect((await get('/../../etc/passwd')).status).toBe(404);
  });

  it('sends the curves, at first and after each epoch', async () => {
    expect((await get('/events')).text).toMatch(/^event: epoch\ndata: "/);
  });

  it('lets go of a browser that does not read, and goes on for the others', async () => {
    const idle = await serveTraining(join(folder, 'idle'), defaultRecipe(), 0);
    const at = Number(new URL(idle.url).port);
    const silent = connect(at, '127.0.0.1').pause();
    const closed = once(silent, 'close');
    silent.on('error', () => {}).write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${at}\r\n\r\n`);
    const record = { epoch: 1, trainLoss: 1, trainTop1: 1, testLoss: 1, testTop1: 1, validationTop1: null, lr: 0.1 };
    const full = { ...record, o: null, seconds: 1, imagesPerSecond: 1, waitShare: 0 };
    // Far more than a socket holds by itself.
    for (let epoch = 1; epoch <= 1200 && idle.watching() < 1; epoch++) await new Promise((done) => setTimeout(done, 5));
    expect(idle.watching()).toBe(1);
    for (let epoch = 1; epoch <= 3000 && idle.watching() > 0; epoch++) {
      await idle.listeners.onEpoch({ ...full, epoch });
      await new Promise((done) => setImmediate(done));
    }
    expect(idle.watching()).toBe(0);
    silent.resume();
    await closed;
    await idle.close('over');
  });

  it('a port that is taken is an error that says so', async () => {
    await expect(serveTraining('x', defaultRecipe(), port)).rejects.toMatchObject({
      name: 'BnnError',
      message: expect.stringContaining(`port ${port}`) as string,
    });
  });
});

it('listeners are told in order, and wait for one another only where one takes time', async () => {
  const told: string[] = [];
  const later = async () => {
    await new Promise((done) => setTimeout(done, 5));
    told.push('a');
  };
  const { onEpoch, onStep } = joinListeners([
    { onEpoch: later, onStep: () => void told.push('1') },
    { onEpoch: () => void told.push('b'), onStep: () => void told.push('2') },
  ]);
  await onEpoch?.({} as never);
  expect(told).toEqual(['a', 'b']);
  expect(onStep?.({} as never)).toBeUndefined();
  expect(told).toEqual(['a', 'b', '1', '2']);
});

const missing = findChromium() === undefined ? 'Chromium is not installed' : undefined;
it.skipIf(missing !== undefined)(
  `in a browser, the page grows with the training and asks for nothing elsewhere${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    const server = await serveTraining(join(folder, 'watched'), parseRecipe([{ ...RECIPE }]), 0);
    const browser = await launchChromium();
    try {
      for (const colorScheme of ['light', 'dark'] as const) {
        const context = await browser.newContext({ viewport: { width: 360, height: 700 }, colorScheme });
        const page = await context.newPage();
        const asked: string[] = [];
        page.on('request', (request) => asked.push(request.url()));
        page.on('pageerror', (error) => expect.fail(error.message));
        await page.goto(server.url);
        await becomesTrue(page, "document.getElementById('status').textContent.includes('running')");
        // A page that is opened later has the epochs so far.
        if (colorScheme === 'light') expect(await page.locator('#curves svg').count()).toBe(0);
        else await becomesTrue(page, "document.querySelectorAll('#curves svg').length > 2");
        const [record] = await readHistory(join(folder, 'watched', 'history.jsonl'));
        await server.listeners.onEpoch(record!);
        await becomesTrue(page, "document.querySelectorAll('#curves svg').length > 2");
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
        expect(((await page.evaluate(lowContrast(4.5))) as { low: string[] }).low).toEqual([]);
        expect(new Set(asked.filter((url) => !url.startsWith('data:')))).toEqual(
          new Set([server.url, `${server.url}events`]),
        );
        if (colorScheme === 'light') continue;
        await server.close('That was all.');
        await becomesTrue(page, "document.getElementById('status').textContent === 'That was all.'");
      }
    } finally {
      await browser.close();
      await server.close('').catch(() => {});
    }
  },
);
