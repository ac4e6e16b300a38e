/** `bnn-toolchain/web` and the page of `bnn web` on several threads in a browser, and where it has none. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngineModule } from '../../src/engine/load-engine-io.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { launchChromium } from '../../src/tasks/chromium-io.ts';
import { type StaticServer, serveFiles } from '../../src/tasks/static-server-io.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { runCli } from '../cli/spawn-cli.ts';
import { encodePicture, missingBrowser, smallModel, somePixels, webFile } from './browser.ts';

const SLOW = { timeout: 60_000 };
const page = (policy: string) =>
  `<!doctype html><link rel="icon" href="data:,"><meta http-equiv="Content-Security-Policy" content="${policy}"><title>test</title>`;
const ALL = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:";
const NETWORK = encodeModel(lowerToPacked(buildModel('resnet20', { seed: 4 })).model);

const FILES: readonly (readonly [string, Uint8Array])[] = [
  ['index.html', Buffer.from(page(ALL))],
  ['no-workers.html', Buffer.from(page(`${ALL}; worker-src 'none'`))],
  ['index.js', missingBrowser === undefined ? webFile('index.js') : Buffer.of()],
  ['engine.wasm', missingBrowser === undefined ? webFile('engine.wasm') : Buffer.of()],
  ['model.onnx', smallModel()],
  ['network.onnx', NETWORK],
];
const THREADED = 'engine-threads.wasm';

describe.skipIf(missingBrowser !== undefined)(
  `threads in Chromium${missingBrowser === undefined ? '' : ` (skipped: ${missingBrowser})`}`,
  SLOW,
  () => {
    let browser: Browser;
    let isolated: StaticServer;
    let plain: StaticServer;
    let partial: StaticServer;

    beforeAll(async () => {
      const all = new Map([...FILES, [THREADED, webFile(THREADED)]]);
      isolated = await serveFiles(all, { isolated: true });
      plain = await serveFiles(all);
      partial = await serveFiles(new Map(FILES), { isolated: true });
      browser = await launchChromium();
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      for (const server of [isolated, plain, partial]) await server?.close();
    });

    async function open(url: string): Promise<Page> {
      const context = await browser.newContext();
      const made = await context.newPage();
      await made.goto(url);
      return made;
    }

    /** The value of an async function's body, in which `web` is the module. */
    function inPage<T>(at: Page, body: string): Promise<T> {
      return at.evaluate<T>(`(async () => { const web = await import('/index.js'); ${body} })()`);
    }

    const NUMBERS = 'Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => ((i * 7919) % 1000) / 250 - 2)';
    const RUN = `
      const { logits } = await session.run({ input: { data: ${NUMBERS}, shape: [2, 3, 32, 32] } });
      const { threads, threadProblem } = session;
      await session.dispose();
      return { data: [...logits.data], threads, threadProblem };`;
    interface Outcome {
      readonly data: number[];
      readonly threads: number;
      readonly threadProblem?: string;
    }

    async function expectedLogits(): Promise<number[]> {
      const session = await EngineSession.create(await loadEngineModule(), NETWORK);
      const x = Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => ((i * 7919) % 1000) / 250 - 2);
      return [...session.run(x, [2, 3, 32, 32]).data];
    }

    it.each([1, 2, 3])('on %d threads it computes the logits of one thread in Node, bit for bit', async (threads) => {
      const at = await open(isolated.url);
      const found = await inPage<Outcome>(
        at,
        `const session = await web.createSession('network.onnx', { threads: ${threads} }); ${RUN}`,
      );
      expect(found).toEqual({ data: await expectedLogits(), threads });
    });

    it('takes as many as suit unless told, downloads one engine, and ends them', async () => {
      isolated.takeSent();
      const at = await open(isolated.url);
      const cores = await at.evaluate<number>('Math.min(4, navigator.hardwareConcurrency)');
      await at.evaluate(`(async () => {
        const web = await import('/index.js');
        globalThis.session = await web.createSession('network.onnx', { threads: 4 });
        globalThis.other = await web.createSession('network.onnx');
      })()`);
      expect(await at.evaluate('[session.threads, other.threads]')).toEqual([4, cores]);
      expect(at.workers().length).toBe(3 + cores - 1);
      await at.evaluate('Promise.all([session.dispose(), other.dispose()])');
      await expect.poll(() => at.workers().length, { timeout: 20_000 }).toBe(0);
      const sent = isolated.takeSent().map(({ path }) => path);
      expect(sent.filter((path) => path.endsWith('.wasm'))).toEqual([THREADED]);
    });

    it('inside a worker of the page it works as well', async () => {
      const at = await open(isolated.url);
      const found = await at.evaluate<Outcome>(`new Promise((resolve, reject) => {
        const code = "import('" + location.origin + "/index.js').then(async (web) => {" +
          "const session = await web.createSession('" + location.origin + "/network.onnx', { threads: 3 });" +
          ${JSON.stringify(RUN.replace('return', 'postMessage(').replace(/;$/, ');'))} + "}).catch((e) => postMessage(String(e)))";
        const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
      })`);
      expect(found).toEqual({ data: await expectedLogits(), threads: 3 });
    });

    const lacks = [
      ['the page is not isolated', () => plain.url, '{ threads: 3 }', 'the page is not cross-origin isolated'],
      ['workers are forbidden', () => `${isolated.url}no-workers.html`, '{ threads: 3 }', 'a worker does not start'],
      ['the module is missing', () => partial.url, '{ threads: 3 }', 'the engine is not there: HTTP 404 Not Found'],
      [
        'only the other module is named',
        () => isolated.url,
        "{ threads: 3, engine: '/engine.wasm' }",
        'the option engine is given without threadedEngine',
      ],
    ] as const;
    it.each(lacks)('where %s one thread does it, and says why', async (_, url, options, problem) => {
      const at = await open(url());
      const found = await inPage<Outcome>(
        at,
        `const session = await web.createSession('network.onnx', ${options}); ${RUN}`,
      );
      expect(found).toEqual({ data: await expectedLogits(), threads: 1, threadProblem: problem });
      expect(at.workers().length).toBe(0);
    });

    it('where nothing was asked for, a page that is not isolated has no problem to tell but that', async () => {
      const at = await open(plain.url);
      expect(
        await inPage(
          at,
          "const s = await web.createSession('model.onnx', { threads: 1 }); return s.threadProblem ?? null;",
        ),
      ).toBeNull();
      expect(
        await inPage(at, "return web.createSession('model.onnx', { threads: -1 }).catch(({ code }) => code);"),
      ).toBe('E_USAGE');
    });

    it('mutated files end in a result or an error', async () => {
      const at = await open(isolated.url);
      const counts = await inPage<{ results: number; errors: number; others: string[] }>(
        at,
        `
        const bytes = new Uint8Array(await (await fetch('model.onnx')).arrayBuffer());
        let state = 5;
        const draw = (limit) => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0), state % limit);
        const counts = { results: 0, errors: 0, others: [] };
        for (let k = 0; k < 100; k++) {
          const copy = bytes.slice();
          for (let i = 0; i < 1 + draw(4); i++) copy[draw(copy.length)] = draw(256);
          try {
            const session = await web.createSession(copy, { threads: 3 });
            try {
              await session.classify({ data: new Uint8ClampedArray(4 * 256), width: 16, height: 16 });
              counts.results++;
            } finally {
              await session.dispose();
            }
          } catch (error) {
            if (error instanceof web.BnnError) counts.errors++;
            else counts.others.push(String(error));
          }
        }
        return counts;`,
      );
      expect(counts.others).toEqual([]);
      expect(counts.results + counts.errors).toBe(100);
      expect(Math.min(counts.results, counts.errors)).toBeGreaterThan(0);
      await expect.poll(() => at.workers().length, { timeout: 20_000 }).toBe(0);
    });

    it('the page of bnn web uses them where its server isolates it', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'bnn-web-'));
      writeFileSync(join(folder, 'fruit.onnx'), smallModel());
      const out = join(folder, 'site');
      expect((await runCli(['web', join(folder, 'fruit.onnx'), '-o', out])).code).toBe(0);
      const site = await serveFiles(new Map(readdirSync(out).map((name) => [name, readFileSync(join(out, name))])), {
        isolated: true,
      });
      try {
        const context = await browser.newContext();
        const at = await context.newPage();
        const said: string[] = [];
        at.on('console', (message) => said.push(message.text()));
        at.on('pageerror', (error) => said.push(error.message));
        await at.goto(site.url);
        await at.waitForSelector('#file:enabled');
        const buffer = await encodePicture(somePixels(40, 24, 2));
        await at.setInputFiles('#file', { name: 'a.png', mimeType: 'image/png', buffer });
        await at.waitForSelector('#classes li');
        const cores = await at.evaluate<number>('Math.min(4, navigator.hardwareConcurrency)');
        const facts = await at.locator('#facts').textContent();
        expect(facts).toMatch(cores === 1 ? /ms/ : new RegExp(`ms on ${cores} threads`));
        expect(at.workers().length).toBe(cores - 1);
        expect(said).toEqual([]);
        expect(site.takeSent().filter(({ path }) => path.endsWith('.wasm'))).toHaveLength(1);
      } finally {
        await site.close();
        rmSync(folder, { recursive: true });
      }
    });
  },
);
