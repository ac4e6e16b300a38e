import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../src/compiler/lower-to-packed.ts';
import { loadOrtAddon } from '../src/inference/native-addon.ts';
import { writeModel } from '../src/onnx/model-io.ts';
import { launchChromium } from '../src/tasks/chromium-io.ts';
import { serveFiles } from '../src/tasks/static-server-io.ts';
import { buildModel } from '../src/zoo/zoo.ts';
import { missingHeaders, onnxruntimeHeaders } from './native/onnxruntime-headers.ts';
import { classifyInNode, encodePicture, missingBrowser, smallModel, somePixels, webFile } from './web/browser.ts';

/** The samples of docs/deploy, run as a user would run them; all but the browser's feed the same picture, so they must print the same class. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SAMPLES = join(ROOT, 'docs/deploy');
const PYTHON = process.env['BNN_PYTHON'] ?? 'python3';
const hasPython = spawnSync(PYTHON, ['-c', 'import onnxruntime, numpy']).status === 0;
const OPS_LIBRARY = join(ROOT, 'build/libbnn_ops.so');

let folder: string;
let model: string;
let expected: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-deploy-'));
  model = join(folder, 'model.onnx');
  await writeModel(model, lowerToPacked(buildModel('binarynet-mini', { seed: 3 })).model);
  expected = execFileSync(process.execPath, [join(SAMPLES, 'node.mjs'), model], { cwd: ROOT, encoding: 'utf8' });
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

it('Node prints a class', () => expect(expected).toMatch(/^class \d\n$/));

it('what docs/web.md does with onnxruntime-web prints the same class', () => {
  const page = readFileSync(join(ROOT, 'docs/web.md'), 'utf8');
  const script = /```js\n(import \* as ort[\s\S]*?)```/
    .exec(page)![1]!
    .replace("'./model.onnx'", `new Uint8Array(readFileSync(${JSON.stringify(model)}))`);
  const code = `import { readFileSync } from 'node:fs';\n${script}\nprocess.exit(0);\n`;
  const args = ['--input-type=module', '--eval', code];
  expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })).toBe(expected);
}, 60_000);

it.skipIf(missingBrowser !== undefined)(
  `the browser sample names the classes of a chosen picture${missingBrowser === undefined ? '' : ` (skipped: ${missingBrowser})`}`,
  async () => {
    const [packed, pixels] = [smallModel(), somePixels(50, 30, 1)];
    const server = await serveFiles(
      new Map([
        ['index.html', readFileSync(join(SAMPLES, 'browser.html'))],
        ['bnn-web/index.js', webFile('index.js')],
        ['bnn-web/engine.wasm', webFile('engine.wasm')],
        ['model.onnx', packed],
      ]),
    );
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      const buffer = await encodePicture(pixels);
      await page.setInputFiles('#file', { name: 'a.png', mimeType: 'image/png', buffer });
      await page.waitForSelector('#result li');
      const guesses = await classifyInNode(packed, pixels);
      const lines = guesses.map(({ name, probability }) => `${name}: ${(100 * probability).toFixed(1)} %`);
      expect(await page.locator('#result li').allTextContents()).toEqual(lines);
    } finally {
      await browser.close();
      await server.close();
    }
  },
  60_000,
);

describe.skipIf(!hasPython)(
  `Python${hasPython ? '' : ' (skipped: no onnxruntime; BNN_PYTHON chooses the interpreter)'}`,
  () => {
    const run = (...args: string[]) =>
      execFileSync(PYTHON, [join(SAMPLES, 'python.py'), ...args], { encoding: 'utf8' });

    it('prints the same class', () => expect(run(model)).toBe(expected));

    it.skipIf(!existsSync(OPS_LIBRARY))('prints it with the operator library, too', () =>
      expect(run(model, OPS_LIBRARY)).toBe(expected),
    );
  },
);

const addon = loadOrtAddon();
const missingCpp = addon.ok ? missingHeaders : addon.reason;

describe.skipIf(missingCpp !== undefined)(`C++${missingCpp ? ` (skipped: ${missingCpp})` : ''}`, () => {
  const classify = (...args: string[]) => spawnSync(join(folder, 'classify'), args, { encoding: 'utf8' });

  beforeAll(() => {
    // The library that onnxruntime-node has; the headers may be older.
    const library = addon.ok ? addon.value.runtime : '';
    const flags = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-isystem', String(onnxruntimeHeaders)];
    const files = [join(SAMPLES, 'main.cc'), library, `-Wl,-rpath,${dirname(library)}`];
    execFileSync('c++', [...flags, ...files, '-o', join(folder, 'classify')]);
  });

  it('prints the same class', () => expect(classify(model)).toMatchObject({ status: 0, stdout: expected }));

  it.skipIf(!existsSync(OPS_LIBRARY))('prints it with the operator library, too', () =>
    expect(classify(model, OPS_LIBRARY)).toMatchObject({ status: 0, stdout: expected }),
  );

  it('says what is wrong with a file', () => {
    const { status, stderr } = classify(join(folder, 'absent.onnx'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/absent\.onnx.*\n$/);
  });
});
