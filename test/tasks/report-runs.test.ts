/** `bnn report`: what its pages say, and how they look in a browser. */

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findChromium, launchChromium } from '../../src/tasks/chromium-io.ts';
import { type ReportOptions, writeReport } from '../../src/tasks/report-runs.ts';
import { readHistory } from '../../src/training/sessions/history-io.ts';
import { train } from '../../src/training/sessions/trainer.ts';
import { becomesTrue } from '../web/becomes-true.ts';
import { lowContrast } from '../web/contrast.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 });

const TINY = { model: 'binarynet-mini', limitTrain: 8, epochs: 2, batchSize: 4, backend: 'cpu', lr: 0.01 } as const;
const CLASSES = 40;

let folder: string;
/** MNIST with indicators; the same of one epoch; 40 classes of pictures of our own. */
let runs: { a: string; b: string; many: string };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-report-'));
  runs = { a: join(folder, 'a'), b: join(folder, 'other', 'b'), many: join(folder, 'many') };
  const environment = { processor: 'a processor', commit: null };
  await train({ ...TINY, limitTest: 60, indicators: true }, { out: runs.a, environment });
  await train({ ...TINY, limitTest: 60, epochs: 1, seed: 2 }, { out: runs.b });
  await makePictures(join(folder, 'photos'));
  const photos = { dataset: 'image-folder', data: join(folder, 'photos'), imageSize: 72 } as const;
  await train({ ...TINY, ...photos, epochs: 1 }, { out: runs.many });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function makePictures(photos: string): Promise<void> {
  for (const split of ['train', 'test']) {
    for (let k = 0; k < CLASSES; k++) {
      const of = join(photos, split, `a class of a rather long name, number ${k} <b>`);
      await mkdir(of, { recursive: true });
      const background = { r: (37 * k) % 256, g: (91 * k) % 256, b: 60 };
      const picture = sharp({ create: { width: 80, height: 80, channels: 3, background } });
      for (let i = 0; i < 2; i++)
        await picture
          .clone()
          .jpeg()
          .toFile(join(of, `${i}.jpg`));
    }
  }
}

let pages = 0;
async function report(given: readonly string[], options: Partial<ReportOptions> = {}) {
  const out = join(folder, `${pages++}.html`);
  const written = await writeReport({ runs: given, out, ...options });
  return { ...written, html: await readFile(out, 'utf8') };
}

/** Two arms with indicators; the first has a second seed, whose indicators are those of the first times 1.1. */
async function layeredComparison(): Promise<string> {
  const comparison = join(folder, 'layered');
  for (const name of ['ste-seed-1', 'ste-seed-2', 'a-b-seed-1'])
    await cp(runs.a, join(comparison, 'runs', name), { recursive: true });
  const history = join(comparison, 'runs', 'ste-seed-2', 'history.jsonl');
  const changed = (await readHistory(history)).map((record) => ({
    ...record,
    indicators: {
      ...record.indicators!,
      layers: record.indicators!.layers.map((layer) => ({ ...layer, flipRatio: 1.1 * layer.flipRatio })),
    },
  }));
  await writeFile(history, changed.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const arms = ['ste', 'a<b'].map((name) => ({ name, overrides: {}, oEnd: null }));
  await writeFile(join(comparison, 'results.json'), JSON.stringify({ version: 1, seeds: [1, 2], arms }));
  return comparison;
}

describe('the page of a run', () => {
  it('has everything that is known of it', async () => {
    const { html, bytes, notes } = await report([runs.a]);
    expect(notes).toEqual([]);
    expect(bytes).toBe(Buffer.byteLength(html));
    expect(bytes).toBeLessThan(3e6);
    for (const id of [
      'summary',
      'curves',
      'confusion',
      'classes',
      'mistakes',
      'layers',
      'indicators',
      'recipe',
      'environment',
    ])
      expect(html).toContain(`<section id="${id}"`);
    expect(html).toContain('a processor');
    expect(html).toContain('bnn.BinaryConv');
    expect(html.replaceAll(/data:[^"]+/g, '')).not.toMatch(/NaN|undefined|Infinity|\[object/);
    // Its numbers are those of the history, and the deployed network decides like the trained one.
    const last = (await readHistory(join(runs.a, 'history.jsonl'))).at(-1)!;
    const accuracy = (100 * last.testTop1).toFixed(2);
    expect(html).toContain(`<dt>test accuracy</dt><dd>${accuracy} %</dd>`);
    expect(html).toContain(`${accuracy} % of 60 test pictures`);
    const matrix = /<table class="matrix">[\s\S]*?<\/table>/.exec(html)![0];
    const counts = [...matrix.matchAll(/<td(?: class="(\w*)")?[^>]*>(\d+)</g)].map(([, kind, count]) => ({
      kind,
      count: Number(count),
    }));
    const sum = (of: typeof counts) => of.reduce((total, { count }) => total + count, 0);
    expect(sum(counts)).toBe(60);
    expect(sum(counts.filter(({ kind }) => kind === 'right'))).toBe(Math.round(60 * last.testTop1));
    expect([...html.matchAll(/<figure><img src="data:image\/png/g)]).toHaveLength(
      Math.min(48, 60 - Math.round(60 * last.testTop1)),
    );
  });

  it('loads nothing: a policy forbids it, and there is nothing to load', async () => {
    const { html } = await report([runs.a]);
    expect(html).toContain("default-src 'none'; img-src data:;");
    expect(html).not.toMatch(/<script|(?:src|href)="(?!data:|#)|url\(|@import/);
  });

  it('of missing data says so, and has the rest', async () => {
    const moved = join(folder, 'moved');
    await cp(runs.many, moved, { recursive: true });
    const recipe = JSON.parse(await readFile(join(moved, 'recipe.json'), 'utf8'));
    await writeFile(join(moved, 'recipe.json'), JSON.stringify({ ...recipe, data: join(folder, 'nowhere') }));
    const { html, notes } = await report([moved]);
    expect(notes).toEqual([expect.stringMatching(/confusion and mistakes are missing: .*nowhere/)]);
    expect(html).toContain('confusion and mistakes are missing');
    expect(html).toContain('<section id="layers"');
    expect(html).not.toContain('<section id="confusion"');
    // It may be told where they are.
    expect((await report([moved], { data: join(folder, 'photos') })).html).toContain('<section id="confusion"');
  });

  it('of other data than those of the training warns', async () => {
    const changed = join(folder, 'changed');
    await cp(runs.a, changed, { recursive: true });
    const history = join(changed, 'history.jsonl');
    const lines = (await readFile(history, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    await writeFile(history, lines.map((line) => `${JSON.stringify({ ...line, testTop1: 1 })}\n`).join(''));
    expect((await report([changed])).notes).toEqual([expect.stringContaining('these may not be the same data')]);
  });

  it('without a checkpoint, or with numbers that are none, is a page', async () => {
    const broken = join(folder, 'broken');
    await cp(runs.a, broken, { recursive: true });
    await rm(join(broken, 'last'), { recursive: true });
    const history = join(broken, 'history.jsonl');
    const [first, second] = (await readFile(history, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    await writeFile(
      history,
      `${JSON.stringify(first)}\n${JSON.stringify({ ...second, testLoss: null, trainLoss: null })}\n`,
    );
    const { html, notes } = await report([broken]);
    expect(notes).toEqual([expect.stringContaining('There is no network to look at')]);
    expect(html).toContain('not a number');
    expect(html.replaceAll(/data:[^"]+/g, '')).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('a damaged run folder', () => {
  async function damaged(name: string, file: string, text: string): Promise<string> {
    const run = join(folder, name);
    await cp(runs.a, run, { recursive: true });
    await writeFile(join(run, file), text);
    return run;
  }

  it.each(['[1', '"text"'])('of an environment %j has the rest', async (text) => {
    const { html, notes } = await report([await damaged(`environment ${text.length}`, 'environment.json', text)]);
    expect(notes).toEqual([expect.stringContaining('How it was made is not shown')]);
    expect(html).toContain('<section id="confusion"');
  });

  it.each(['{}', 'null', '[]', '{"seeds":[1],"arms":[null]}', '{"seeds":["1"],"arms":[]}', '{"seeds":5}'])(
    'with results of a comparison %s is said',
    async (text) => {
      const run = await damaged('results', 'results.json', text);
      await expect(report([run])).rejects.toMatchObject({ code: 'E_FORMAT', at: join(run, 'results.json') });
    },
  );

  it.each<[string, object]>([
    ['validationTop1', { validationTop1: '<b>' }],
    ['o', { o: {} }],
    ['indicators', { indicators: null }],
    ['indicators', { indicators: 5 }],
    ['indicators', { indicators: { layers: 3 } }],
    ['indicators', { indicators: { layers: [null] } }],
  ])('of a history with another %s is said', async (word, change) => {
    const [first = '', second = ''] = (await readFile(join(runs.a, 'history.jsonl'), 'utf8')).split('\n');
    const text = [JSON.stringify({ ...JSON.parse(first), ...change }), second, ''].join('\n');
    const run = await damaged('history', 'history.jsonl', text);
    await expect(report([run])).rejects.toMatchObject({
      code: 'E_FORMAT',
      at: `${join(run, 'history.jsonl')}:1`,
      message: expect.stringContaining(word) as string,
    });
  });
});

it('a run that divided its pictures itself is measured on those that it was tested on', async () => {
  const out = join(folder, 'divided');
  const photos = { dataset: 'image-folder', data: join(folder, 'photos', 'train'), imageSize: 32 } as const;
  await train({ ...TINY, limitTrain: 0, ...photos, split: 0.5, seed: 3, epochs: 1 }, { out });
  const { html, notes } = await report([out]);
  expect(notes).toEqual([]);
  expect(html).toContain(`of ${CLASSES} test pictures`);
});

describe('several runs', () => {
  it('stand side by side, and what differs is marked', async () => {
    const { html } = await report([runs.a, runs.b]);
    expect(html).toContain('2 runs side by side');
    expect(html).toMatch(
      /<tr class="differs"><th scope="row">seed<\/th><td class="text long">1<\/td><td class="text long">2<\/td>/,
    );
    expect(html).toMatch(/<tr><th scope="row">model<\/th>|fields of the recipe at their defaults/);
    // A line of each in one picture.
    expect(html).toMatch(/aria-label="accuracy on the test pictures, %: a [\d.]+ %; b [\d.]+ %"/);
  });

  it('of one name are told apart by their folders', async () => {
    const twin = join(folder, 'twins', 'a');
    await cp(runs.a, twin, { recursive: true });
    expect((await report([runs.a, twin])).html).toContain('>twins/a<');
  });

  it('of a comparison are found, one for each arm', async () => {
    const comparison = join(folder, 'comparison');
    await cp(runs.a, join(comparison, 'runs', 'ste-seed-1'), { recursive: true });
    await cp(runs.b, join(comparison, 'runs', 'x-y-seed-1'), { recursive: true });
    const arms = ['ste', 'x y'].map((name) => ({ name, overrides: {}, oEnd: null }));
    await writeFile(join(comparison, 'results.json'), JSON.stringify({ version: 1, seeds: [1, 2], arms }));
    const { runs: shown, notes } = await report([comparison]);
    expect(shown).toEqual(['ste-seed-1', 'x-y-seed-1'].map((name) => join(comparison, 'runs', name)));
    expect(notes).toEqual([expect.stringContaining('seed 1')]);
  });

  it('of a comparison are others where the first diverged', async () => {
    const comparison = join(folder, 'diverged');
    await cp(runs.a, join(comparison, 'runs', 'ste-seed-1'), { recursive: true });
    await cp(runs.b, join(comparison, 'runs', 'x-y-seed-2'), { recursive: true });
    const arms = [
      { name: 'ste', overrides: {} },
      { name: 'x y', overrides: {}, diverged: [{ seed: 1, message: 'the loss became NaN' }] },
      { name: 'z', overrides: {}, diverged: [1, 2].map((seed) => ({ seed, message: 'the loss became NaN' })) },
    ];
    await writeFile(join(comparison, 'results.json'), JSON.stringify({ version: 1, seeds: [1, 2], arms }));
    const { runs: shown, notes } = await report([comparison]);
    expect(shown).toEqual(['ste-seed-1', 'x-y-seed-2'].map((name) => join(comparison, 'runs', name)));
    expect(notes).toEqual([
      expect.stringContaining('seed 1, x y with seed 2, as it diverged, z by none, as it diverged; '),
    ]);
  });

  it('of a comparison stand below its table, with means over all seeds', async () => {
    const comparison = join(folder, 'measured');
    await cp(runs.a, join(comparison, 'runs', 'ste-seed-1'), { recursive: true });
    await cp(runs.b, join(comparison, 'runs', 'a-b-seed-1'), { recursive: true });
    const measures = { epochs: 1, trainLoss: 0.5, seconds: 2, validationTop1: null };
    const arms = [
      { name: 'ste', values: [0.5, 0.6, 0.7] },
      { name: 'a<b', values: [0.6, 0.7, 0.9] },
    ].map(({ name, values }) => ({
      name,
      overrides: {},
      runs: values.map((testTop1, i) => ({ ...measures, seed: i + 1, testTop1 })),
    }));
    await writeFile(join(comparison, 'results.json'), JSON.stringify({ version: 1, seeds: [1, 2, 3], arms }));
    const { html } = await report([comparison]);
    const [, section = ''] = /<section id="comparison"(.*?)<\/section>/s.exec(html) ?? [];
    const cells = [...section.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell]) => cell);
    // By hand: mean and standard deviation of 0.1, 0.1, 0.2; half of the interval is 4.3027 times the latter by the root of 3.
    expect(cells).toContain('a&lt;b');
    expect(cells).toContain('60.00 ± 10.00');
    expect(cells).toContain('+13.33 ± 5.77');
    expect(cells).toContain('-1.01 … 27.68');
    expect(section).toContain('over 3 seeds');
  });

  it('of a comparison are drawn layer by layer: means over the seeds, in a band of one deviation', async () => {
    const comparison = await layeredComparison();
    const { html } = await report([comparison]);
    const [, section = ''] = /<section id="compared-layers"(.*?)<\/section>/s.exec(html) ?? [];
    const panels = [...section.matchAll(/<svg class="plot".*?<\/svg>/gs)].map(([svg]) => svg);
    // Ten indicators of two layers.
    expect(panels.length).toBe(20);
    const epochs = await readHistory(join(runs.a, 'history.jsonl'));
    const numbers = epochs.map(({ indicators }) => 100 * indicators!.layers[0]!.flipRatio);
    const seed = numbers[1]! * 1.1;
    const mean = (numbers[1]! + seed) / 2;
    const text = (value: number) => value.toPrecision(3);
    const flips = panels.filter((svg) => svg.includes(`${text(mean)} ± ${text(Math.abs(seed - mean) * Math.SQRT2)}`));
    expect(flips.length).toBe(1);
    expect(flips[0]).toMatch(/aria-label="conv2: ste /);
    // Two arms, of which the other has one seed and so no band.
    expect(flips[0]!.match(/<polyline/g)?.length).toBe(2);
    expect(flips[0]!.match(/<polygon/g)?.length).toBe(1);
    expect(section).toContain('a&lt;b');
    expect(section.replaceAll(/data:[^"]+/g, '')).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('more than can be told apart, or what is no run, are errors', async () => {
    await expect(report(new Array(9).fill(runs.a))).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(report([join(folder, 'photos')])).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      at: join(folder, 'photos'),
    });
  });
});

const missing = findChromium() === undefined ? 'Chromium is not installed' : undefined;
describe.skipIf(missing !== undefined)(`in a browser${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  async function open(
    file: string,
    width: number,
    colorScheme: 'light' | 'dark',
  ): Promise<{ page: Page; asked: string[] }> {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
    const page = await context.newPage();
    const asked: string[] = [];
    page.on('request', (request) => {
      if (!request.url().startsWith('data:')) asked.push(request.url());
    });
    page.on('console', (message) => asked.push(message.text()));
    await page.goto(`file://${file}`);
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
    return { page, asked };
  }

  it.each(['one run', 'two runs', 'many classes', 'a comparison'])(
    'the page of %s asks for nothing, fits a telephone and can be read',
    async (what) => {
      const shown: Readonly<Record<string, readonly string[]>> = {
        'one run': [runs.a],
        'two runs': [runs.a, runs.b],
        'many classes': [runs.many],
      };
      const { file } = await report(shown[what] ?? [await layeredComparison()]);
      for (const scheme of ['light', 'dark'] as const) {
        for (const width of [360, 1280]) {
          const { page, asked } = await open(file, width, scheme);
          expect(asked).toEqual([`file://${file}`]);
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
          // Whatever is wider than the screen lies in a box that scrolls.
          const wide = await page.evaluate(`[...document.querySelectorAll('body *')]
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.box'))
          .map((one) => one.outerHTML.slice(0, 80))`);
          expect(wide).toEqual([]);
          const { texts, low } = (await page.evaluate(lowContrast(4.5))) as { texts: number; low: string[] };
          expect(texts).toBeGreaterThan(100);
          expect(low).toEqual([]);
          await page.context().close();
        }
      }
    },
  );

  it('every box that scrolls can be reached and scrolled by keyboard, and has a name', async () => {
    const { file } = await report([runs.a]);
    const { page } = await open(file, 360, 'light');
    const boxes = (await page.evaluate(
      `[...document.querySelectorAll('.box')].map((box) => [box.tabIndex, box.getAttribute('aria-label')])`,
    )) as [number, string][];
    expect(boxes.length).toBeGreaterThan(5);
    expect(boxes.filter(([index, label]) => index !== 0 || !label)).toEqual([]);
    const matrix = page.locator('#confusion .box');
    await matrix.focus();
    await page.keyboard.press('ArrowRight');
    await becomesTrue(page, "document.querySelector('#confusion .box').scrollLeft > 0");
    await page.context().close();
  });

  it('all pictures are shown, with what they are in words', async () => {
    const { file } = await report([runs.many]);
    const { page } = await open(file, 1280, 'light');
    const images = (await page.evaluate(
      `Promise.all([...document.images].map(async (image) => { await image.decode(); return [image.naturalWidth, image.alt]; }))`,
    )) as [number, string][];
    expect(images.length).toBeGreaterThan(20);
    expect(images.filter(([width, alt]) => width === 0 || alt === '')).toEqual([]);
    // The matrix of 40 classes, one pixel each.
    expect(images[0]?.[0]).toBe(CLASSES);
    await page.context().close();
  });
});
