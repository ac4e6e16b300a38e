/** The page that `bnn web --train` writes, in a browser: it learns what `bnn-train` learns, byte for byte. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MemorySplit } from '../../src/data/dataset.ts';
import { loadMnist } from '../../src/data/sets/mnist.ts';
import { toChannelsFirst } from '../../src/inference/image-input.ts';
import { createSession } from '../../src/inference/session.ts';
import { launchChromium } from '../../src/tasks/chromium-io.ts';
import { serveFiles } from '../../src/tasks/static-server-io.ts';
import { runCli } from '../cli/spawn-cli.ts';
import { becomesTrue } from './becomes-true.ts';
import { missingBrowser } from './browser.ts';
import { lowContrast } from './contrast.ts';

const SLOW = { timeout: 120_000 };
const [TRAINED, TESTED, EPOCHS] = [384, 100, 2];

interface Visit {
  readonly page: Page;
  readonly strayed: string[];
  readonly errors: string[];
}

/** The files of MNIST with fewer pictures, not compressed. */
async function writePictures(folder: string): Promise<void> {
  const { train, test } = await loadMnist({ limitTrain: TRAINED, limitTest: TESTED });
  for (const [name, split] of [
    ['train', train],
    ['t10k', test],
  ] as const) {
    const { images, labels, count } = split as MemorySplit;
    const header = (...sizes: number[]) => {
      const bytes = Buffer.alloc(4 + 4 * sizes.length);
      bytes.set([0, 0, 8, sizes.length]);
      for (const [i, size] of sizes.entries()) bytes.writeUInt32BE(size, 4 + 4 * i);
      return bytes;
    };
    writeFileSync(join(folder, `${name}-images-idx3-ubyte`), Buffer.concat([header(count, 28, 28), images]));
    writeFileSync(join(folder, `${name}-labels-idx1-ubyte`), Buffer.concat([header(count), Uint8Array.from(labels)]));
  }
}

describe.skipIf(missingBrowser !== undefined)(
  `the page of bnn web --train${missingBrowser === undefined ? '' : ` (skipped: ${missingBrowser})`}`,
  SLOW,
  () => {
    let folder: string;
    let site: Map<string, Uint8Array>;
    let browser: Browser;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'bnn-train-page-'));
      await writePictures(folder);
      const out = join(folder, 'site');
      const { code, stderr } = await runCli([
        'web',
        '--train',
        '--data',
        folder,
        '-o',
        out,
        '--title',
        'Digits & more',
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      site = new Map(readdirSync(out).map((name) => [name, readFileSync(join(out, name))]));
      browser = await launchChromium();
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    /** A tab of its own on a server of its own. */
    async function visit(
      body: (visit: Visit) => Promise<void>,
      {
        files = site,
        isolated = false,
        context: options = {},
        from = browser,
      }: {
        files?: ReadonlyMap<string, Uint8Array>;
        isolated?: boolean;
        context?: BrowserContextOptions;
        from?: Browser;
      } = {},
    ): Promise<void> {
      const server = await serveFiles(files, { isolated });
      const context = await from.newContext(options);
      try {
        const page = await context.newPage();
        const [strayed, errors]: [string[], string[]] = [[], []];
        context.on('request', (request) => {
          if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(server.url))
            strayed.push(request.url());
        });
        page.on('pageerror', (error) => errors.push(error.message));
        page.on('console', (message) => errors.push(message.text()));
        await page.goto(server.url);
        await becomesTrue(
          page,
          "!document.getElementById('start').disabled || !document.getElementById('problem').hidden",
        );
        await body({ page, strayed, errors });
      } finally {
        await context.close();
        await server.close();
      }
    }

    const problem = (page: Page) => page.textContent('#problem');

    async function finished(page: Page): Promise<Buffer> {
      await becomesTrue(
        page,
        "!document.getElementById('result').hidden || !document.getElementById('problem').hidden",
      );
      expect(await problem(page)).toBe('');
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
      expect(download.suggestedFilename()).toBe('model.onnx');
      return readFileSync(await download.path());
    }

    /** What the command line makes of the same pictures. */
    async function trainedInNode(threads: number): Promise<Buffer> {
      const [run, packed] = [join(folder, `run${threads}`), join(folder, `packed${threads}.onnx`)];
      const options = ['--data', folder, '--epochs', String(EPOCHS), '--backend', 'wasm', '--threads', String(threads)];
      const trained = await runCli(['models/mnist-quickstart.json', '--out', run, ...options], {
        program: 'bnn-train',
      });
      expect(trained.code, trained.stderr).toBe(0);
      const exported = await runCli([run, '-o', packed], { program: 'bnn-export' });
      expect(exported.code, exported.stderr).toBe(0);
      return readFileSync(packed);
    }

    /** Share of the test pictures that stock onnxruntime tells right. */
    async function accuracyInStock(bytes: Uint8Array): Promise<number> {
      const { test, mean, std } = await loadMnist({ limitTrain: 1, limitTest: TESTED });
      const { images, labels } = test as MemorySplit;
      const x = Float32Array.from(images, (pixel) => (pixel / 255 - mean[0]!) / std[0]!);
      const session = await createSession(bytes);
      const { data } = await session.run(toChannelsFirst(x, TESTED, 1), [TESTED, 1, 28, 28]);
      await session.dispose();
      const decisions = Array.from(labels, (_, i) => {
        const logits = data.subarray(10 * i, 10 * i + 10);
        return logits.indexOf(Math.max(...logits));
      });
      return decisions.filter((decision, i) => decision === labels[i]).length / TESTED;
    }

    it.each([
      ['one thread', false],
      ['threads of an isolated page', true],
    ] as const)(
      'learns on %s, by the keyboard, and gives the file of bnn-train and bnn-export',
      async (_, isolated) => {
        await visit(
          async ({ page, strayed, errors }) => {
            expect(await page.title()).toBe('Digits & more');
            expect(await page.inputValue('#pictures')).toBe(String(TRAINED));
            await page.focus('#epochs');
            await page.keyboard.press('Control+A');
            await page.keyboard.type(String(EPOCHS));
            await page.keyboard.press('Enter');
            const file = await finished(page);
            const threads = Number(/on (\d+) thread/.exec((await page.textContent('#facts')) ?? '')?.[1]);
            if (!isolated) expect(threads).toBe(1);
            expect(file.equals(await trainedInNode(threads))).toBe(true);

            const status = await page.textContent('#status');
            const share = (await accuracyInStock(file)) * 100;
            expect(share).toBeGreaterThan(20);
            expect(status).toBe(`${share.toFixed(2)} % of the ${TESTED} test pictures after ${EPOCHS} epochs.`);
            expect(await page.textContent('#top1')).toBe(`${share.toFixed(2)} %`);
            expect(await page.locator('#accuracy circle').count()).toBe(EPOCHS);
            const points = await page.locator('#loss polyline').getAttribute('points');
            expect(points!.split(' ').length).toBeGreaterThanOrEqual(5);

            await page.focus('#sample');
            await page.keyboard.press('Enter');
            await page.waitForSelector('#classes li');
            expect(await page.textContent('#trial')).toMatch(/^A test picture of the class \d: (right|wrong)\.$/);
            expect({ strayed, errors }).toEqual({ strayed: [], errors: [] });
          },
          { isolated },
        );
      },
    );

    it('stops by the keyboard, gives what was learned so far, and learns again', async () => {
      await visit(async ({ page, errors }) => {
        await page.fill('#epochs', '100');
        await page.click('#start');
        await becomesTrue(page, "/^Epoch/.test(document.getElementById('facts').textContent)");
        expect(await page.isDisabled('#start')).toBe(true);
        await page.keyboard.press('Escape');
        expect((await finished(page)).length).toBeGreaterThan(10_000);
        expect(await page.textContent('#summary')).toContain('stopped early');
        await page.fill('#epochs', '1');
        await page.fill('#pictures', '128');
        await page.click('#start');
        await finished(page);
        expect(await page.textContent('#status')).toContain('after 1 epoch.');
        expect(errors).toEqual([]);
      });
    });

    it('a drawing is classified', async () => {
      await visit(async ({ page, errors }) => {
        await page.fill('#epochs', '1');
        await page.fill('#pictures', '128');
        await page.click('#start');
        await finished(page);
        const { x, y, width } = (await page.locator('#pad').boundingBox())!;
        await page.mouse.move(x + width / 2, y + width / 4);
        await page.mouse.down();
        await page.mouse.move(x + width / 2, y + (3 * width) / 4, { steps: 5 });
        await page.mouse.up();
        await page.waitForSelector('#classes li');
        expect(await page.textContent('#trial')).toContain('your drawing');
        await page.click('#clear');
        expect(await page.locator('#classes li').count()).toBe(0);
        expect(errors).toEqual([]);
      });
    });

    it('a loss that is no number is said', async () => {
      await visit(async ({ page }) => {
        await page.evaluate("document.getElementById('lr').removeAttribute('max')");
        await page.fill('#lr', '1e20');
        await page.fill('#epochs', '20');
        await page.click('#start');
        await becomesTrue(page, "!document.getElementById('problem').hidden");
        expect(await problem(page)).toMatch(/^The loss became NaN in epoch \d+\. Choose a lower learning rate\.$/);
        expect(await page.isEnabled('#start')).toBe(true);
      });
    });

    const without = (name: string) => new Map([...site].filter(([file]) => file !== name));
    const faults: readonly (readonly [string, () => ReadonlyMap<string, Uint8Array>, RegExp])[] = [
      [
        'no pictures',
        () => without('train-images.idx.gz'),
        /^train-images\.idx\.gz: a file of the page is not there: HTTP 404\. Copy all/,
      ],
      ['no kernels', () => without('training.wasm'), /^training\.wasm: a file of the page is not there/],
      ['no worker', () => without('worker.js'), /The training does not start: worker\.js is missing/],
      ['damaged pictures', () => new Map(site).set('test-images.idx.gz', Buffer.from([31, 139, 8, 0, 1])), /damaged/],
      ['pictures of something else', () => new Map(site).set('test-labels.idx.gz', Buffer.from('a page')), /IDX/],
      ['damaged kernels', () => new Map(site).set('training.wasm', Buffer.from('a page')), /kernels do not compile/],
    ];
    it.each(faults)('%s: a sentence', async (_, files, expected) => {
      await visit(
        async ({ page }) => {
          expect(await problem(page)).toMatch(expected);
          expect(await page.textContent('#about')).toBe('Nothing can be trained here.');
          expect(await page.isDisabled('#start')).toBe(true);
        },
        { files: files() },
      );
    });

    const old = [
      ['WebAssembly', '--jitless'],
      // Of x64; other processors have no such flag.
      ...(process.arch === 'x64' ? [['the vector instructions of WebAssembly', '--no-enable-sse4-1']] : []),
    ];
    it.each(old)('a browser without %s: a sentence', async (what, flag) => {
      const from = await launchChromium(undefined, [`--js-flags=${flag}`]);
      try {
        await visit(
          async ({ page }) => {
            const expected = `Training needs ${what}, which this browser lacks or has switched off. Every browser since 2023 has`;
            expect(await problem(page)).toContain(expected);
          },
          { from },
        );
      } finally {
        await from.close();
      }
    });

    it.each([
      ['light', 1200],
      ['dark', 1200],
      ['light', 360],
      ['dark', 360],
    ] as const)('can be read in %s, %i pixels wide', async (colorScheme, width) => {
      await visit(
        async ({ page }) => {
          await page.fill('#epochs', '1');
          await page.fill('#pictures', '128');
          await page.click('#start');
          await finished(page);
          await page.click('#sample');
          await page.waitForSelector('#classes li');
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
          const { texts, low } = await page.evaluate<{ texts: number; low: string[] }>(lowContrast(4.5));
          expect(texts).toBeGreaterThan(20);
          expect(low).toEqual([]);
        },
        { context: { colorScheme, viewport: { width, height: 900 } } },
      );
    });
  },
);
