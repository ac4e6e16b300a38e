/** `bnn-toolchain/web` in a browser gives what the engine gives in Node. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import { loadEngineModule } from '../../src/engine/load-engine-io.ts';
import type { Guess } from '../../src/engine/picture-input.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { launchChromium } from '../../src/tasks/chromium-io.ts';
import { type StaticServer, serveFiles } from '../../src/tasks/static-server-io.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import {
  classifyInNode,
  encodePicture,
  missingBrowser,
  PREPROCESSING,
  SIZE,
  smallModel,
  somePixels,
  webFile,
} from './browser.ts';

const SLOW = { timeout: 60_000 };
const EMPTY = '<!doctype html><link rel="icon" href="data:,"><title>test</title>';
/** Of 20 layers, with shortcuts: more operators than the small model has. */
const NETWORK = encodeModel(lowerToPacked(buildModel('resnet20', { seed: 4 })).model);

describe.skipIf(missingBrowser !== undefined)(
  `bnn-toolchain/web in Chromium${missingBrowser === undefined ? '' : ` (skipped: ${missingBrowser})`}`,
  SLOW,
  () => {
    const model = smallModel();
    const pixels = somePixels(40, 24, 2);
    let server: StaticServer;
    let browser: Browser;
    let page: Page;

    beforeAll(async () => {
      const files: readonly (readonly [string, Uint8Array])[] = [
        ['index.html', Buffer.from(EMPTY)],
        ['index.js', webFile('index.js')],
        ['engine.wasm', webFile('engine.wasm')],
        ['model.onnx', model],
        ['network.onnx', NETWORK],
        ['picture.png', await encodePicture(pixels)],
      ];
      server = await serveFiles(new Map(files));
      browser = await launchChromium();
      page = await browser.newPage();
      await page.goto(server.url);
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      await server?.close();
    });

    /** The value of an async function's body, in which `web` is the module. */
    function inPage<T>(body: string): Promise<T> {
      return page.evaluate<T>(`(async () => { const web = await import('/index.js'); ${body} })()`);
    }

    const sessions = [
      ['an address', "'model.onnx'"],
      ['an URL', "new URL('/model.onnx', location.href)"],
      ['bytes', "new Uint8Array(await (await fetch('model.onnx')).arrayBuffer())"],
      ['a buffer', "await (await fetch('model.onnx')).arrayBuffer()"],
    ] as const;
    it.each(sessions)('makes a session from %s', async (_, source) => {
      const found = await inPage(`
        const session = await web.createSession(${source});
        const { inputs, outputs, classes, picture } = session;
        const preprocessing = { picture: null, ...JSON.parse(session.metadata.get('bnn.preprocessing')) };
        await session.dispose();
        return { inputs, outputs, classes, picture, preprocessing };`);
      expect(found).toEqual({
        inputs: [{ name: 'input', dtype: 'float32', shape: [expect.any(String), 3, SIZE, SIZE] }],
        outputs: [{ name: 'logits', dtype: 'float32', shape: [expect.any(String), 4] }],
        classes: PREPROCESSING.classes,
        picture: { layout: 'NCHW', channels: 3, height: SIZE, width: SIZE },
        preprocessing: PREPROCESSING,
      });
    });

    it('computes the logits of Node, bit for bit', async () => {
      const numbers = 'Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => ((i * 7919) % 1000) / 250 - 2)';
      const found = await inPage<{ data: number[]; shape: number[] }>(`
        const session = await web.createSession('network.onnx');
        const { logits } = await session.run({ input: { data: ${numbers}, shape: [2, 3, 32, 32] } });
        return { data: [...logits.data], shape: logits.shape };`);
      const session = await EngineSession.create(await loadEngineModule(), NETWORK);
      const x = Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => ((i * 7919) % 1000) / 250 - 2);
      const expected = session.run(x, [2, 3, 32, 32]);
      expect(found).toEqual({ data: [...expected.data], shape: [2, 10] });
    });

    it('writes results into the arrays that it is given', async () => {
      const found = await inPage<{ isSame: boolean; before: number[]; given: number[]; fresh: number[] }>(`
        const session = await web.createSession('network.onnx');
        const feeds = (value) => ({ input: { data: new Float32Array(3072).fill(value), shape: [1, 3, 32, 32] } });
        const logits = new Float32Array(10);
        const results = await session.run(feeds(0.5), { outputs: { logits } });
        const before = [...logits];
        await session.run(feeds(-0.5), { outputs: { logits } });
        const fresh = (await session.run(feeds(-0.5))).logits.data;
        return { isSame: results.logits.data === logits, before, given: [...logits], fresh: [...fresh] };`);
      expect(found.isSame).toBe(true);
      expect(found.given).toEqual(found.fresh);
      expect(found.before).not.toEqual(found.given);
    });

    const data = () => `new Uint8ClampedArray(${JSON.stringify([...pixels.data])})`;
    const sources = [
      ['ImageData', () => `new ImageData(${data()}, ${pixels.width})`],
      ['pixels', () => `({ data: ${data()}, width: ${pixels.width}, height: ${pixels.height} })`],
      ['ImageBitmap', () => "await createImageBitmap(await (await fetch('picture.png')).blob())"],
      ['HTMLImageElement', () => "Object.assign(new Image(), { src: 'picture.png' })"],
      [
        'HTMLCanvasElement',
        () => `(() => {
          const canvas = Object.assign(document.createElement('canvas'), { width: ${pixels.width}, height: ${pixels.height} });
          canvas.getContext('2d').putImageData(new ImageData(${data()}, ${pixels.width}), 0, 0);
          return canvas;
        })()`,
      ],
    ] as const;
    it.each(sources)('classifies an %s', async (_, source) => {
      const found = await inPage<Guess[]>(`
        const session = await web.createSession('model.onnx');
        const source = ${source()};
        await source.decode?.();
        return session.classify(source, { top: 3 });`);
      const expected = (await classifyInNode(model, pixels)).slice(0, 3);
      expect(found.map(({ index, name }) => [index, name])).toEqual(expected.map(({ index, name }) => [index, name]));
      for (const [i, { probability }] of expected.entries()) expect(found[i]!.probability).toBeCloseTo(probability, 6);
    });

    const roomFor = (outputs: string) => `session.run(
      { input: { data: new Float32Array(3 * ${SIZE} ** 2), shape: [1, 3, ${SIZE}, ${SIZE}] } }, { outputs: { ${outputs} } })`;
    const faults = [
      ['no model', "web.createSession('absent.onnx')", 'E_NOT_FOUND', /HTTP 404/],
      ['what is no model', "web.createSession('picture.png')", 'E_FORMAT', /not an ONNX file/],
      ['no engine', "web.createSession('model.onnx', { engine: 'absent.wasm' })", 'E_NOT_FOUND', /engine/],
      ['what is no engine', "web.createSession('model.onnx', { engine: 'picture.png' })", 'E_BACKEND', /compile/],
      ['a server that is gone', "web.createSession('http://127.0.0.1:1/model.onnx')", 'E_IO', /cannot fetch the model/],
      ['another input', 'session.run({ x: { data: new Float32Array(3), shape: [3] } })', 'E_SHAPE', /input/],
      ['an array that is too short', roomFor('logits: new Float32Array(3)'), 'E_SHAPE', /room for 3 .* expected 4/],
      ['an array of doubles', roomFor('logits: new Float64Array(4)'), 'E_SHAPE', /no Float32Array/],
      ['an array for no output', roomFor('logit: new Float32Array(4)'), 'E_USAGE', /no output logit/],
      ['a picture that is not loaded', 'session.classify(new Image())', 'E_SHAPE', /loaded/],
      ['too few bytes', 'session.classify({ data: new Uint8Array(5), width: 2, height: 2 })', 'E_SHAPE', /RGBA/],
      [
        'a session that is over',
        'session.dispose().then(() => session.classify(new ImageData(4, 4)))',
        'E_BACKEND',
        /disposed/,
      ],
    ] as const;
    it.each(faults)('%s is an error that says so', async (_, call, code, message) => {
      const found = await inPage<{ code: string; message: string; isOurs: boolean }>(`
        const session = await web.createSession('model.onnx');
        const error = await (async () => ${call})().then(() => ({}), (error) => error);
        return { code: error.code, message: error.message, isOurs: error instanceof web.BnnError };`);
      expect(found).toEqual({ code, message: expect.stringMatching(message), isOurs: true });
    });

    it('keeps the limits for hostile files, and survives mutated ones', async () => {
      const found = await inPage<{ hostile: string; results: number; errors: Record<string, number> }>(`
        // More nodes than any network has, in two bytes each.
        const count = 1_100_000;
        const nodes = Uint8Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? 0x0a : 0));
        const size = [0, 7, 14, 21].map((shift, i) => ((nodes.length >> shift) & 127) | (i < 3 ? 128 : 0));
        const hostile = await web.createSession(new Uint8Array([8, 8, 0x3a, ...size, ...nodes])).catch((error) => error);
        const model = new Uint8Array(await (await fetch('model.onnx')).arrayBuffer());
        let state = 1;
        const random = (below) => {
          state = (Math.imul(state, 1103515245) + 12345) >>> 0;
          return Math.floor((state / 2 ** 32) * below);
        };
        let results = 0;
        const errors = {};
        for (let i = 0; i < 200; i++) {
          const bytes = model.slice(0, i % 10 === 0 ? random(model.length) : model.length);
          // Names and numbers of the graph stand before and behind the weights.
          for (let k = 0; k < 1 + (i % 4); k++) bytes[random(i % 2 === 0 ? bytes.length : Math.min(900, bytes.length))] = random(256);
          try {
            const session = await web.createSession(bytes);
            await session.classify(new ImageData(20, 20));
            await session.dispose();
            results++;
          } catch (error) {
            const kind = error instanceof web.BnnError ? error.code : String(error);
            errors[kind] = (errors[kind] ?? 0) + 1;
          }
        }
        return { hostile: hostile.message, results, errors };`);
      expect(found.hostile).toMatch(/more than 1000000 texts and messages/);
      expect(Object.keys(found.errors).filter((kind) => !/^E_[A-Z_]+$/.test(kind))).toEqual([]);
      expect(found.results).toBeGreaterThan(5);
      expect(Object.values(found.errors).reduce((sum, count) => sum + count, 0)).toBe(200 - found.results);
    });

    it('leaves the page in order after a failure: the next session works', async () => {
      const found = await inPage<string[]>(`
        await web.createSession('model.onnx', { engine: 'absent.wasm' }).catch(() => {});
        const session = await web.createSession('model.onnx');
        return session.classes;`);
      expect(found).toEqual(PREPROCESSING.classes);
    });
  },
);
