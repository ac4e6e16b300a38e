import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { addBnnFunctions } from '../../src/operators/registry.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { runCli, runSource } from '../cli/spawn-cli.ts';

const HOOK = fileURLToPath(new URL('hide-packages.cjs', import.meta.url));
const ONNXRUNTIME = '^(onnxruntime|@bnn-toolchain/onnxruntime)';
let folder: string;
let latent: string;
let packed: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-without-'));
  latent = join(folder, 'latent.onnx');
  packed = join(folder, 'packed.onnx');
  const model = buildModel('binarynet-mini', { seed: 3 });
  addBnnFunctions(model);
  await writeModel(latent, model);
  await writeModel(packed, lowerToPacked(buildModel('binarynet-mini', { seed: 3 })).model);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Variables that hide packages from a command. */
const without = (hidden: string, more: Readonly<Record<string, string>> = {}) => ({
  env: { NODE_OPTIONS: `--require ${HOOK}`, BNN_TEST_HIDDEN: hidden, BNN_PEERS: join(folder, 'none'), ...more },
});
const validate = (...args: string[]) => ['validate', packed, '--dataset', 'mnist', '--limit', '100', '--json', ...args];

describe('without onnxruntime', () => {
  it('bnn doctor says so, and what to do', async () => {
    const { code, stdout } = await runCli(['doctor'], without(ONNXRUNTIME));
    expect(code).toBe(0);
    expect(stdout).toMatch(/onnxruntime +none: onnxruntime is not installed \(bnn setup onnxruntime\)/);
    expect(stdout).toMatch(/our engine +works/);
  });

  it('bnn export writes the file', async () => {
    const { code, stderr } = await runCli(
      ['export', latent, '-o', join(folder, 'exported.onnx')],
      without(ONNXRUNTIME),
    );
    expect(code, stderr).toBe(0);
    expect(readFileSync(join(folder, 'exported.onnx')).length).toBeGreaterThan(1000);
  });

  it('bnn validate runs a packed file in our engine, with the same result', async () => {
    const own = await runCli(validate(), without(ONNXRUNTIME));
    const stock = await runCli(validate('--engine', 'onnxruntime', '--ops', 'off'));
    const [a, b] = [own, stock].map(
      ({ events }) => events().at(-1) as { top1: number; engine: string; runtime: string },
    );
    expect(a).toMatchObject({
      engine: 'wasm',
      runtime: expect.stringMatching(/^our engine in WebAssembly, \d+ threads?$/) as string,
    });
    expect(b).toMatchObject({ engine: 'onnxruntime', runtime: expect.stringMatching(/^onnxruntime-node 1\.\d+/) });
    expect(a?.top1).toBe(b?.top1);
  });

  it.each([
    ['--verify', ['export', 'LATENT', '-o', 'OUT', '--verify']],
    ['the latent form', ['validate', 'LATENT', '--dataset', 'mnist', '--limit', '10', '--engine', 'onnxruntime']],
  ])('what needs it is an error with the command that installs it: %s', async (_, args) => {
    const paths = args.map((arg) => (arg === 'LATENT' ? latent : arg === 'OUT' ? join(folder, 'verified.onnx') : arg));
    const { code, stderr } = await runCli(paths, without(ONNXRUNTIME));
    expect(code).toBe(1);
    expect(stderr).toMatch(/error\[E_BACKEND\].*onnxruntime is not installed/);
    expect(stderr).toContain('hint: bnn setup onnxruntime');
  });

  it("import 'bnn-toolchain' works", async () => {
    const { code, stderr } = await runSource('src/index.ts', [], without(ONNXRUNTIME));
    expect(code, stderr).toBe(0);
  });
});

describe('with the WebAssembly build of onnxruntime alone', () => {
  it('runs packed and latent files, and says what it is', async () => {
    const { code, stderr, events } = await runCli(
      validate('--against', latent, '--engine', 'onnxruntime'),
      without('^(onnxruntime-node)'),
    );
    expect(code, stderr).toBe(0);
    expect(events().at(-1)).toMatchObject({
      agreement: 1,
      runtime: expect.stringMatching(/^onnxruntime-web 1\.\d+\.\d+ \(WebAssembly, 1 thread\)$/),
    });
  });

  it('has the CPU only', async () => {
    const { code, stderr } = await runCli(validate('--ep', 'cuda'), without('^(onnxruntime-node)'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/onnxruntime-web .* runs on cpu only[\s\S]*bnn setup onnxruntime/);
  });
});

describe('TensorFlow.js is not loaded by', () => {
  it.each([
    ['export', () => ['export', latent, '-o', join(folder, 'again.onnx'), '--verify']],
    ['validate', () => validate('--against', latent)],
    ['doctor', () => ['doctor']],
    ['inspect', () => ['inspect', packed]],
    ['convert', () => ['convert', latent, '-o', join(folder, 'converted.onnx')]],
  ])('bnn %s', async (name, args) => {
    const list = join(folder, `loaded-${name}.txt`);
    const { code, stderr } = await runCli(args(), without('$^', { BNN_TEST_LOADED: list }));
    expect(code, stderr).toBe(0);
    const loaded = readFileSync(list, 'utf8');
    expect(loaded).toContain('commander');
    expect(loaded).not.toContain('@tensorflow');
  });

  it('(the list has it when a network is trained)', async () => {
    const list = join(folder, 'loaded-train.txt');
    const small = ['--limit-train', '32', '--batch-size', '32', '--limit-test', '10', '--epochs', '1', '--quiet'];
    const { code, stderr } = await runCli(
      ['train', '--model', 'binarynet-mini', '--dataset', 'mnist', ...small, '--out', join(folder, 'run')],
      without('$^', { BNN_TEST_LOADED: list }),
    );
    expect(code, stderr).toBe(0);
    expect(readFileSync(list, 'utf8')).toContain('@tensorflow');
  });
});
