/** The page that `bnn web` writes, in a browser. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Guess } from '../../src/engine/picture-input.ts';
import { launchChromium } from '../../src/tasks/chromium-io.ts';
import { type StaticServer, serveFiles } from '../../src/tasks/static-server-io.ts';
import { runCli } from '../cli/spawn-cli.ts';
import {
  classifyInNode,
  encodePicture,
  missingBrowser,
  PREPROCESSING,
  SIZE,
  smallModel,
  somePixels,
} from './browser.ts';
import { lowContrast } from './contrast.ts';

/** A busy machine starts a browser slowly. */
const SLOW = { timeout: 60_000 };

interface Visit {
  readonly page: Page;
  /** What the page asked for elsewhere, and what it said on the console. */
  readonly strayed: string[];
  readonly errors: string[];
}

describe.skipIf(missingBrowser !== undefined)(
  `the page of bnn web${missingBrowser === undefined ? '' : ` (skipped: ${missingBrowser})`}`,
  SLOW,
  () => {
    const model = smallModel();
    let folder: string;
    let site: Map<string, Uint8Array>;
    let server: StaticServer;
    let browser: Browser;
    let open: BrowserContext[] = [];

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'bnn-web-'));
      writeFileSync(join(folder, 'fruit.onnx'), model);
      const out = join(folder, 'site');
      const { code, stderr } = await runCli(['web', join(folder, 'fruit.onnx'), '-o', out]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      site = new Map(readdirSync(out).map((name) => [name, readFileSync(join(out, name))]));
      server = await serveFiles(site);
      const cameras = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
      browser = await launchChromium(undefined, cameras);
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      await server?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    /** A tab of its own, closed after the test. */
    async function visit(options: BrowserContextOptions = {}, url = server.url): Promise<Visit> {
      const context = await browser.newContext(options);
      open.push(context);
      const page = await context.newPage();
      const strayed: string[] = [];
      const errors: string[] = [];
      context.on('request', (request) => {
        if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(url)) strayed.push(request.url());
      });
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text());
      });
      await page.goto(url);
      await page.waitForSelector('#file:enabled', { state: 'attached' });
      return { page, strayed, errors };
    }

    async function closing(test: () => Promise<void>): Promise<void> {
      try {
        await test();
      } finally {
        for (const context of open) await context.close();
        open = [];
      }
    }

    const test = (name: string, body: () => Promise<void>) => it(name, () => closing(body));

    /** An event with real files in a DataTransfer. */
    async function give(
      page: Page,
      how: 'drop' | 'paste',
      name: string,
      bytes: Uint8Array,
      type: string,
    ): Promise<void> {
      const [base64, file] = [Buffer.from(bytes).toString('base64'), JSON.stringify(name)];
      await page.evaluate(`(() => {
        const bytes = Uint8Array.from(atob('${base64}'), (character) => character.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], ${file}, { type: '${type}' }));
        const target = document.getElementById('stage');
        const init = { bubbles: true, cancelable: true };
        if ('${how}' === 'paste') return target.dispatchEvent(new ClipboardEvent('paste', { ...init, clipboardData: transfer }));
        for (const type of ['dragenter', 'dragover', 'drop']) {
          target.dispatchEvent(new DragEvent(type, { ...init, dataTransfer: transfer }));
        }
      })()`);
    }

    async function shownGuesses(page: Page): Promise<string[]> {
      await page.waitForSelector('#classes li');
      return page.locator('#classes li').allTextContents();
    }

    /** As the page writes them. */
    function asShown(guesses: readonly Guess[]): string[] {
      return guesses.map(({ name, probability }) => `${name}${(100 * probability).toFixed(1)} %`);
    }

    /** Playwright's own way of waiting for a text is against the page's security policy. */
    async function says(page: Page, id: string, expected: string | RegExp): Promise<void> {
      const text = () => page.locator(`#${id}`).textContent();
      await expect.poll(text, { timeout: 20_000 }).toMatch(expected);
    }

    async function problem(page: Page): Promise<string | null> {
      await page.waitForSelector('#problem:not([hidden])');
      return page.locator('#problem').textContent();
    }

    const pictures = [
      ['as large as the input', somePixels(SIZE, SIZE, 0)],
      ['wide', somePixels(90, 40, 1)],
      ['high', somePixels(33, 71, 2)],
      ['one pixel', somePixels(1, 1, 3)],
    ] as const;

    test('shows what the engine says of a dropped, a pasted and a chosen picture', async () => {
      const { page, strayed, errors } = await visit();
      expect(await page.title()).toBe('fruit');
      expect(await page.locator('#about').textContent()).toContain('4 classes');
      const shown: string[][] = [];
      for (const [i, [, pixels]] of pictures.entries()) {
        const png = await encodePicture(pixels);
        await page.evaluate("document.getElementById('classes').replaceChildren()");
        if (i % 3 === 0) await give(page, 'drop', 'a.png', png, 'image/png');
        else if (i % 3 === 1) await give(page, 'paste', 'b.png', png, 'image/png');
        else await page.setInputFiles('#file', { name: 'c.png', mimeType: 'image/png', buffer: png });
        const expected = asShown(await classifyInNode(model, pixels));
        expect(await shownGuesses(page)).toEqual(expected);
        shown.push(expected);
      }
      // The pictures are told apart, or any of them would do.
      expect(new Set(shown.map(String)).size).toBe(pictures.length);
      const facts = await page.locator('#facts').textContent();
      expect(facts).toMatch(/Time for a picture[\d.]+ ms/);
      expect(facts).toMatch(/Downloaded in all[\d.]+ kB/);
      expect({ strayed, errors }).toEqual({ strayed: [], errors: [] });
    });

    test('says so when the camera is refused, missing, or the page may not use it', async () => {
      const reasons = [
        ["Object.assign(new Error('x'), { name: 'NotAllowedError' })", /not allowed/],
        ["Object.assign(new Error('x'), { name: 'NotFoundError' })", /there is none/],
        ["Object.assign(new Error('x'), { name: 'NotReadableError' })", /something else uses it/],
      ] as const;
      const { page } = await visit();
      for (const [error, expected] of reasons) {
        await page.evaluate(`navigator.mediaDevices.getUserMedia = () => Promise.reject(${error})`);
        await page.click('#camera');
        await says(page, 'problem', expected);
        expect(await page.locator('#camera').isEnabled()).toBe(true);
      }
      await page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })");
      await page.click('#camera');
      await says(page, 'problem', /https/);
      await give(page, 'drop', 'a.png', await encodePicture(pictures[0][1]), 'image/png');
      expect(await shownGuesses(page)).toHaveLength(4);
      expect(await page.locator('#problem').isVisible()).toBe(false);
    });

    test('says so when the browser itself refuses the camera', async () => {
      // Without the flag that answers for the visitor, a browser without a window refuses.
      const strict = await launchChromium(undefined, [
        '--use-fake-device-for-media-stream',
        '--deny-permission-prompts',
      ]);
      try {
        const page = await strict.newPage();
        await page.goto(server.url);
        await page.click('#camera:enabled');
        expect(await problem(page)).toMatch(/^The camera cannot be used: it was not allowed\./);
      } finally {
        await strict.close();
      }
    });

    test('classifies what the camera sees until it is stopped', async () => {
      const { page, strayed, errors } = await visit({ permissions: ['camera'] });
      await page.click('#camera');
      expect(await shownGuesses(page)).toHaveLength(4);
      expect(await page.locator('#video').isVisible()).toBe(true);
      await page.evaluate("document.getElementById('classes').replaceChildren()");
      await shownGuesses(page);
      const track = await page.evaluateHandle("document.getElementById('video').srcObject.getTracks()[0]");
      await page.click('#camera');
      expect(await page.locator('#camera').textContent()).toBe('Use the camera');
      expect(await page.evaluate((one) => (one as { readyState: string }).readyState, track)).toBe('ended');
      expect(await page.locator('#drop').isVisible()).toBe(true);
      expect({ strayed, errors }).toEqual({ strayed: [], errors: [] });
    });

    test('says so for what is no picture, and goes on with the next', async () => {
      const { page, errors } = await visit();
      const png = await encodePicture(pictures[1][1]);
      const broken = [
        ['text.png', Buffer.from('no picture at all')],
        ['empty.png', Buffer.alloc(0)],
        ['head.png', png.subarray(0, 20)],
        ['noise.jpg', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3])],
        ['notes.txt', Buffer.from('text')],
      ] as const;
      for (const [name, bytes] of broken) {
        await give(page, 'drop', name, bytes, 'image/png');
        await says(page, 'problem', name);
        expect(await problem(page)).toBe(`“${name}” is no picture that this browser can show.`);
      }
      await page.evaluate(`document.body.dispatchEvent(
        new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() }))`);
      await says(page, 'problem', /no file/);
      await give(page, 'drop', 'good.png', png, 'image/png');
      expect(await shownGuesses(page)).toEqual(asShown(await classifyInNode(model, pictures[1][1])));
      expect(await page.locator('#problem').isVisible()).toBe(false);
      expect(errors).toEqual([]);
    });

    test('takes another model, and keeps the one it has when that is none', async () => {
      const { page, errors } = await visit();
      const png = await encodePicture(pictures[0][1]);
      const wrong: readonly (readonly [string, Uint8Array, RegExp])[] = [
        ['empty.onnx', new Uint8Array(0), /not an ONNX file: it is empty/i],
        ['half.onnx', model.subarray(0, model.length >> 1), /not an ONNX file/i],
        ['picture.onnx', png, /not an ONNX file/i],
        ['silent.onnx', smallModel(3, { ...PREPROCESSING, mean: 'none' as never }), /preprocessing is not readable/],
      ];
      for (const [name, bytes, expected] of wrong) {
        await give(page, 'drop', name, bytes, '');
        await says(page, 'problem', expected);
        await page.evaluate("document.getElementById('classes').replaceChildren()");
        await give(page, 'drop', 'good.png', png, 'image/png');
        expect(await shownGuesses(page)).toEqual(asShown(await classifyInNode(model, pictures[0][1])));
      }
      const other = smallModel(5);
      await give(page, 'drop', 'other.ONNX', other, '');
      await says(page, 'title', 'other.ONNX');
      await give(page, 'drop', 'good.png', png, 'image/png');
      expect(await shownGuesses(page)).toEqual(asShown(await classifyInNode(other, pictures[0][1])));
      expect(errors).toEqual([]);
    });

    const faults: readonly (readonly [string, string, Uint8Array | undefined, RegExp])[] = [
      ['no model', 'model.onnx', undefined, /The model is not there: HTTP 404/],
      ['a damaged model', 'model.onnx', model.subarray(0, 999), /Not an ONNX file/],
      ['a page in place of the model', 'model.onnx', Buffer.from('<!doctype html>'), /Not an ONNX file/],
      ['no engine', 'engine.wasm', undefined, /The engine is not there: HTTP 404/],
      ['a damaged engine', 'engine.wasm', Buffer.from('\0asm....'), /The engine does not compile/],
    ];
    for (const [name, file, bytes, expected] of faults) {
      test(`${name} on the server is a sentence`, async () => {
        const files = new Map(site);
        if (bytes === undefined) files.delete(file);
        else files.set(file, bytes);
        const faulty = await serveFiles(files);
        try {
          const { page } = await visit({}, faulty.url);
          expect(await problem(page)).toMatch(expected);
          expect(await page.locator('#about').textContent()).toBe('No network is loaded.');
          if (file !== 'model.onnx') return;
          await give(page, 'drop', 'a.png', await encodePicture(pictures[0][1]), 'image/png');
          await says(page, 'problem', /drop a model/);
          await give(page, 'drop', 'mine.onnx', model, '');
          await says(page, 'title', 'mine.onnx');
        } finally {
          await faulty.close();
        }
      });
    }

    test('works with the keyboard alone', async () => {
      const { page } = await visit();
      const focused = () => page.evaluate('document.activeElement.id');
      const outline = (selector: string) =>
        page.evaluate(`getComputedStyle(document.querySelector('${selector}')).outlineStyle`);
      await page.keyboard.press('Tab');
      expect(await focused()).toBe('file');
      expect(await outline('#drop')).toBe('solid');
      const png = { name: 'a.png', mimeType: 'image/png', buffer: await encodePicture(pictures[0][1]) };
      page.on('filechooser', (chooser) => void chooser.setFiles(png));
      for (const key of ['Enter', 'Space']) {
        await page.evaluate("document.getElementById('classes').replaceChildren()");
        await page.keyboard.press(key);
        expect(await shownGuesses(page)).toHaveLength(4);
        // The place to drop is gone; its button has the focus.
        expect(await focused()).toBe('another');
      }
      expect(await outline('#another')).toBe('solid');
      await page.keyboard.press('Shift+Tab');
      expect(await focused()).toBe('camera');
      await page.evaluate("navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('asked'))");
      await page.keyboard.press('Enter');
      expect(await problem(page)).toContain('asked');
    });

    const looks = (['light', 'dark'] as const).flatMap((scheme) =>
      [360, 1200].map((width) => [scheme, width] as const),
    );
    for (const [scheme, width] of looks) {
      test(`is legible and fits: ${scheme}, ${width} pixels wide`, async () => {
        const { page } = await visit({ colorScheme: scheme, viewport: { width, height: 800 } });
        const check = async (state: string) => {
          expect(await page.evaluate('document.documentElement.scrollWidth'), state).toBeLessThanOrEqual(width);
          const { texts, low } = await page.evaluate<{ texts: number; low: string[] }>(lowContrast(4.5));
          expect(texts, state).toBeGreaterThan(5);
          expect(low, state).toEqual([]);
          const shots = process.env['BNN_SCREENSHOTS'];
          if (shots) await page.screenshot({ path: join(shots, `${state}-${scheme}-${width}.png`), fullPage: true });
        };
        await check('empty');
        await give(page, 'drop', 'a.png', await encodePicture(somePixels(400, 300, 1)), 'image/png');
        await shownGuesses(page);
        await check('result');
        await give(page, 'drop', `${'long-name-'.repeat(20)}.png`, Buffer.from('no picture'), 'image/png');
        await problem(page);
        await check('problem');
      });
    }
  },
);
