import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../src/compiler/lower-to-packed.ts';
import { writeModel } from '../src/onnx/model-io.ts';
import { buildModel } from '../src/zoo/zoo.ts';

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
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('Node prints a class', () => expect(expected).toMatch(/^class \d\n$/));

it('the browser sample prints the same class with onnxruntime-web (its WebAssembly runs in Node here)', () => {
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

const include = (process.env['CPLUS_INCLUDE_PATH'] ?? '/usr/include:/usr/local/include:/usr/include/onnxruntime')
  .split(':')
  .find((path) => existsSync(join(path, 'onnxruntime_cxx_api.h')));

it.skipIf(include === undefined)(
  `C++ compiles and prints the same class${include === undefined ? ' (skipped: onnxruntime_cxx_api.h is not installed)' : ''}`,
  () => {
    const binary = join(folder, 'classify');
    execFileSync('c++', ['-std=c++17', join(SAMPLES, 'main.cc'), '-I', String(include), '-lonnxruntime', '-o', binary]);
    expect(execFileSync(binary, [model], { encoding: 'utf8' })).toBe(expected);
  },
);
