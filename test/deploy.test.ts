import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../src/compiler/lower-to-packed.ts';
import { loadOrtAddon } from '../src/inference/native-addon.ts';
import { writeModel } from '../src/onnx/model-io.ts';
import { buildModel } from '../src/zoo/zoo.ts';
import { missingHeaders, onnxruntimeHeaders } from './native/onnxruntime-headers.ts';

/** The samples of docs/deploy, run as a user would run them; all feed the same picture, so all must print the same class. */

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

it('the browser sample prints the same class in Node', () => {
  const page = readFileSync(join(SAMPLES, 'browser.html'), 'utf8');
  const script = /<script type="module">([\s\S]*)<\/script>/
    .exec(page)![1]!
    .replace("'./onnxruntime-web/ort.wasm.min.mjs'", "'onnxruntime-web'")
    .replace("'./model.onnx'", `new Uint8Array(readFileSync(${JSON.stringify(model)}))`)
    .replace("document.getElementById('result').textContent =", 'text =');
  const code = `import { readFileSync } from 'node:fs';\nlet text;\n${script}\nconsole.log(text);\nprocess.exit(0);\n`;
  const args = ['--input-type=module', '--eval', code];
  expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })).toBe(expected);
}, 60_000);

const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** Sends the page's text back as soon as the sample has changed it. */
const REPORTER = `<script>
  const result = document.getElementById('result');
  new MutationObserver(() => fetch('/result', { method: 'POST', body: result.textContent })).observe(result, { childList: true });
</script>`;

it.skipIf(CHROMIUM === undefined)(
  `the browser sample prints it in Chromium${CHROMIUM === undefined ? ' (skipped: it is not installed)' : ''}`,
  async () => {
    const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.mjs': 'text/javascript' };
    const server = createServer(async (request, response) => {
      const name = basename(request.url ?? '');
      if (name === 'result') server.emit('result', await text(request));
      const folders = [SAMPLES, join(ROOT, 'node_modules/onnxruntime-web/dist'), folder];
      const path = folders.map((candidate) => join(candidate, name)).find((candidate) => existsSync(candidate));
      if (path === undefined) return response.writeHead(404).end();
      response.setHeader('content-type', types[extname(name)] ?? 'application/octet-stream');
      response.end(name.endsWith('.html') ? readFileSync(path, 'utf8') + REPORTER : readFileSync(path));
    });
    const result = once(server, 'result');
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/browser.html`;
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0'];
    const profile = `--user-data-dir=${join(folder, 'chromium')}`;
    const browser = spawn(String(CHROMIUM), [...flags, profile, url], { stdio: 'ignore', detached: true });
    const ended = once(browser, 'exit');
    try {
      expect(await Promise.race([result, ended])).toEqual([expected.trim()]);
    } finally {
      // The group: what PATH has may be a script that starts the browser.
      if (browser.exitCode === null) process.kill(-Number(browser.pid));
      await ended;
      server.close();
    }
  },
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
