/**
 * The op library in stock onnxruntime, from Python: the same file with and without it, malformed nodes, concurrent runs.
 * Skipped without Python, its packages onnxruntime and numpy, or a built library; BNN_PYTHON names the interpreter.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import { packedBytes } from '../../src/core/numbers/bits.ts';
import { Rng } from '../../src/core/numbers/rng.ts';
import { float32, type Tensor, tensor } from '../../src/core/tensors/tensor.ts';
import { type Attributes, int, ints } from '../../src/graph/attribute.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { addBnnFunctions, BNN_OPERATORS } from '../../src/operators/registry.ts';
import { LAYER_VARIANTS } from '../../src/operators/variants.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LIBRARY = join(ROOT, 'build', process.platform === 'darwin' ? 'libbnn_ops.dylib' : 'libbnn_ops.so');
const PYTHON = process.env['BNN_PYTHON'] ?? 'python3';
const SCRIPT = fileURLToPath(new URL('ops-check.py', import.meta.url));

function missingPart(): string | undefined {
  if (!existsSync(LIBRARY)) return 'build/libbnn_ops is not built; run: node tools/build-native.mjs';
  const probe = spawnSync(PYTHON, ['-c', 'import onnxruntime, numpy']);
  return probe.status === 0 ? undefined : `${PYTHON} has no onnxruntime and numpy; BNN_PYTHON names another one`;
}

const missing = missingPart();
const folder = mkdtempSync(join(tmpdir(), 'bnn-ops-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Feed {
  readonly shape: readonly number[];
  readonly seed: number;
  readonly integers?: boolean;
  readonly bytes?: boolean;
}
interface Job {
  readonly kind: 'equal' | 'fails' | 'concurrent';
  readonly model: string;
  readonly feeds: Readonly<Record<string, Feed>>;
  readonly repeats?: number;
}

let files = 0;
function save(model: Model): string {
  const path = join(folder, `model-${files++}.onnx`);
  writeFileSync(path, encodeModel(model));
  return path;
}

function runJobs<T>(jobs: readonly Job[], kernel?: string): T[] {
  const path = join(folder, `jobs-${files++}.json`);
  writeFileSync(path, JSON.stringify(jobs));
  const env = { ...process.env, ...(kernel === undefined ? {} : { BNN_KERNEL: kernel }) };
  const run = spawnSync(PYTHON, [SCRIPT, LIBRARY, path], { encoding: 'utf8', env });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  return run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

interface Case {
  readonly n: number;
  readonly channels: number;
  readonly outputs: number;
  readonly group: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
}

const plain: Case = {
  n: 1,
  channels: 16,
  outputs: 6,
  group: 1,
  size: [7, 9],
  kernel: [3, 3],
  strides: [1, 1],
  pads: [1, 1, 1, 1],
  dilations: [1, 1],
};
const CASES: readonly Case[] = [
  plain,
  { ...plain, n: 3, channels: 33, strides: [2, 2] },
  { ...plain, channels: 64, outputs: 40, size: [14, 14] },
  { ...plain, channels: 5, outputs: 9, group: 3, pads: [0, 2, 1, 0] },
  { ...plain, channels: 70, kernel: [1, 1], pads: [0, 0, 0, 0], n: 2 },
  { ...plain, channels: 12, kernel: [5, 2], pads: [2, 0, 2, 1], dilations: [1, 2], size: [12, 8] },
];

function attributesOf(c: Case): Attributes {
  return {
    strides: ints(c.strides),
    pads: ints(c.pads),
    dilations: ints(c.dilations),
    group: int(c.group),
    kernel_shape: ints(c.kernel),
    channels: int(c.channels),
  };
}

function outShape(c: Case): number[] {
  const size = ([0, 1] as const).map((axis) => {
    const reach = (c.kernel[axis] - 1) * c.dilations[axis] + 1;
    return Math.floor((c.size[axis] + c.pads[axis]! + c.pads[axis + 2]! - reach) / c.strides[axis]) + 1;
  });
  return [c.n, c.outputs, ...size];
}

function randomBits(rng: Rng, rows: number, channels: number): Uint8Array {
  const rowBytes = packedBytes(channels);
  const bytes = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) {
      const at = row * rowBytes + (c >> 3);
      if (rng.normal() >= 0) bytes[at] = bytes[at]! | (1 << (c & 7));
    }
  }
  return bytes;
}

interface NodeOptions {
  readonly unit?: boolean;
  /** Graph inputs instead of constants for w, scale and bias. */
  readonly variable?: boolean;
  readonly attributes?: Attributes;
  readonly w?: Tensor;
  readonly scale?: Tensor;
  readonly xShape?: readonly (number | string)[];
}

/** A model of one layer node. */
function layerModel(name: string, c: Case, options: NodeOptions = {}): Model {
  const variant = LAYER_VARIANTS.get(name)!;
  const isDense = variant.layer === 'Gemm';
  const rng = new Rng(5 * c.channels + c.n);
  const graph = new Graph();
  const normals = (count: number, fixed: number) =>
    Float32Array.from({ length: count }, () => (options.unit === true ? fixed : rng.normal()));
  const wShape = isDense ? [c.outputs, packedBytes(c.channels)] : [c.outputs, ...c.kernel, packedBytes(c.channels)];
  const rows = wShape.slice(0, -1).reduce((a, b) => a * b, 1);
  const constantOf = (key: string): Tensor => {
    if (key === 'w') return options.w ?? tensor('uint8', wShape, randomBits(rng, rows, c.channels));
    if (key === 'scale' && options.scale !== undefined) return options.scale;
    if (key === 'x_threshold') return float32([c.channels * c.group], normals(c.channels * c.group, 0));
    return float32([c.outputs], normals(c.outputs, key === 'scale' ? 1 : 0));
  };
  const xShape = options.xShape ?? ['N', c.channels * c.group, ...(isDense ? [] : ['H', 'W'])];
  const inputs = BNN_OPERATORS.get(name)!.schema.inputs.map(({ name: key }) => {
    if (key === 'x') return graph.addInput('x', { dtype: 'float32', shape: xShape });
    if (key === 'residual') return graph.addInput('residual', { dtype: 'float32', shape: null });
    const value = constantOf(key);
    const { dtype, shape } = value;
    return options.variable === true ? graph.addInput(key, { dtype, shape }) : graph.addConstant(key, value);
  });
  const attributes = options.attributes ?? (isDense ? { channels: int(c.channels) } : attributesOf(c));
  const node = graph.addNode(name, inputs, { domain: 'bnn', name: 'layer', attributes, outputs: ['y'] });
  node.output.dtype = 'float32';
  graph.addOutput(node.output);
  const model = new Model(graph);
  addBnnFunctions(model);
  return model;
}

function feedsOf(name: string, c: Case, integers: boolean): Record<string, Feed> {
  const variant = LAYER_VARIANTS.get(name)!;
  const isDense = variant.layer === 'Gemm';
  const x = isDense ? [c.n, c.channels] : [c.n, c.channels * c.group, ...c.size];
  const y = isDense ? [c.n, c.outputs] : outShape(c);
  return {
    x: { shape: x, seed: 1 },
    ...(variant.add ? { residual: { shape: y, seed: 2, integers } } : {}),
  };
}

const without = (attributes: Attributes, name: string): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([key]) => key !== name));

describe.skipIf(missing !== undefined)(missing === undefined ? 'bnn_ops' : `bnn_ops (skipped: ${missing})`, () => {
  const names = [...LAYER_VARIANTS.keys()];

  it.each([undefined, 'avx2', 'scalar'])(
    'layers equal their function bodies, kernel %s',
    { timeout: 300_000 },
    (kernel) => {
      const jobs: Job[] = [];
      const labels: string[] = [];
      for (const name of names) {
        const variant = LAYER_VARIANTS.get(name)!;
        const cases = variant.layer === 'Gemm' ? CASES.filter(({ group }) => group === 1) : CASES;
        for (const c of cases) {
          for (const unit of [true, false]) {
            jobs.push({ kind: 'equal', model: save(layerModel(name, c, { unit })), feeds: feedsOf(name, c, unit) });
            labels.push(`${name} ${JSON.stringify(c)} unit ${unit}`);
          }
        }
      }
      const results = runJobs<{ same: boolean; difference: number; size: number }>(jobs, kernel);
      expect(results).toHaveLength(jobs.length);
      for (const [i, result] of results.entries()) {
        expect(result.size).toBeGreaterThan(0);
        expect(result.difference, labels[i]).toBeLessThan(1e-6);
        // Accumulators are integers, and what follows is rounded as the function body does it.
        if (!labels[i]!.startsWith('BinaryWeight')) expect(result.same, labels[i]).toBe(true);
      }
    },
  );

  it('the library has every operator of the table: its own check refuses a node without channels', () => {
    const jobs = names.map((name): Job => {
      const attributes = LAYER_VARIANTS.get(name)!.layer === 'Gemm' ? {} : without(attributesOf(plain), 'channels');
      return { kind: 'fails', model: save(layerModel(name, plain, { attributes })), feeds: {} };
    });
    const errors = runJobs<{ error: string }>(jobs).map(({ error }) => error);
    for (const [i, name] of names.entries()) {
      expect(errors[i]).toContain(`node "layer" (bnn.${name}): attribute channels is missing`);
    }
  });

  it('a name that no row of kernels of this processor has is refused, with the names that there are', () => {
    const job: Job = {
      kind: 'fails',
      model: save(layerModel('BinaryConv', plain)),
      feeds: feedsOf('BinaryConv', plain, false),
    };
    const [result] = runJobs<{ error: string }>([job], 'sse2');
    expect(result!.error).toMatch(/BNN_KERNEL is "sse2", but the kernels that this processor can run are .*scalar/);
  });

  it('weights may come from the graph', () => {
    const jobs = names.map((name): Job => {
      const isDense = LAYER_VARIANTS.get(name)!.layer === 'Gemm';
      const c = { ...plain, channels: 21, n: 2 };
      const w = isDense ? [6, 3] : [6, 3, 3, 3];
      const feeds: Record<string, Feed> = feedsOf(name, c, false);
      for (const [i, { name: key }] of BNN_OPERATORS.get(name)!.schema.inputs.entries()) {
        if (key === 'w') feeds[key] = { shape: w, seed: 5, bytes: true };
        else if (feeds[key] === undefined)
          feeds[key] = { shape: [key === 'x_threshold' ? c.channels : 6], seed: 5 + i };
      }
      return { kind: 'equal', model: save(layerModel(name, c, { variable: true })), feeds };
    });
    for (const { difference } of runJobs<{ difference: number }>(jobs)) expect(difference).toBeLessThan(1e-6);
  });

  it('Sign equals its function body', () => {
    const graph = new Graph();
    const x = graph.addInput('x', { dtype: 'float32', shape: [3, null] });
    const node = graph.addNode('Sign', [x], { domain: 'bnn', name: 'layer', outputs: ['y'] });
    node.output.dtype = 'float32';
    graph.addOutput(node.output);
    const model = new Model(graph);
    addBnnFunctions(model);
    const feeds = { x: { shape: [3, 50_001], seed: 3 } };
    const [result] = runJobs<{ same: boolean }>([{ kind: 'equal', model: save(model), feeds }]);
    expect(result!.same).toBe(true);
    expect([...BNN_OPERATORS.keys()].sort()).toEqual(['Sign', ...names].sort());
  });

  it('whole networks equal stock onnxruntime', { timeout: 120_000 }, () => {
    const jobs = ['resnet20', 'resnet20-bireal', 'resnet20-react', 'vgg-small', 'resnet20-1w32a'].map(
      (name): Job => ({
        kind: 'equal',
        model: save(lowerToPacked(buildModel(name, { seed: 1 })).model),
        feeds: { input: { shape: [2, 3, 32, 32], seed: 1 } },
      }),
    );
    for (const { difference } of runJobs<{ difference: number }>(jobs)) expect(difference).toBeLessThan(1e-5);
  });

  it('two sessions and two threads in each may run at once', { timeout: 60_000 }, () => {
    const model = save(lowerToPacked(buildModel('resnet20', { seed: 2 })).model);
    const feeds = { input: { shape: [3, 3, 32, 32], seed: 4 } };
    const [result] = runJobs<{ wrong: number }>([{ kind: 'concurrent', model, feeds, repeats: 10 }]);
    expect(result).toEqual({ wrong: 0 });
  });

  const malformed: readonly (readonly [string, Model, Record<string, Feed>, RegExp])[] = (() => {
    const good = attributesOf(plain);
    const feeds = feedsOf('BinaryConv', plain, false);
    const conv = (options: NodeOptions) => layerModel('BinaryConv', plain, options);
    const bytes = (shape: number[]) => tensor('uint8', shape, new Uint8Array(shape.reduce((a, b) => a * b, 1)));
    const x = (shape: number[]) => ({ x: { shape, seed: 1 } });
    const attribute = (name: string, value: Attributes[string]) => conv({ attributes: { ...good, [name]: value } });
    const missingOnes = Object.keys(good).map(
      (name) =>
        [
          `no attribute ${name}`,
          conv({ attributes: without(good, name) }),
          feeds,
          new RegExp(`layer.*attribute ${name} is missing`),
        ] as const,
    );
    return [
      ...missingOnes,
      ['negative pads', attribute('pads', ints([-1, 0, 0, 0])), feeds, /layer.*pads holds -1/],
      ['three pads', attribute('pads', ints([1, 1, 1])), feeds, /layer.*pads has 3 integers, expected 4/],
      ['stride 0', attribute('strides', ints([0, 1])), feeds, /layer.*strides holds 0/],
      ['an enormous kernel', attribute('kernel_shape', ints([65536, 65536])), feeds, /layer.*bits, expected at most/],
      ['group 4 of 6 outputs', attribute('group', int(4)), feeds, /layer.*6 output channels in 4 groups/],
      ['another kernel', conv({ w: bytes([6, 3, 2, 2]) }), feeds, /layer.*input w is u8\[6, 3, 2, 2\], expected/],
      ['weights of rank 2', conv({ w: bytes([6, 18]) }), feeds, /layer.*input w is u8\[6, 18\], expected/],
      ['no outputs', conv({ w: bytes([0, 3, 3, 2]), scale: float32([0], []) }), feeds, /layer.*input w is u8\[0/],
      ['float weights', conv({ w: float32([6, 3, 3, 2], new Float32Array(108)) }), feeds, /layer|Type Error/],
      ['a short scale', conv({ scale: float32([5], new Float32Array(5)) }), feeds, /layer.*input scale is f32\[5\]/],
      [
        'too many channels',
        conv({ xShape: [null, null, null, null] as never }),
        x([1, 17, 7, 9]),
        /layer.*input x is f32\[1, 17, 7, 9\]/,
      ],
      ['an empty image', conv({}), x([1, 16, 0, 9]), /layer.*input x is f32\[1, 16, 0, 9\]|layer.*does not fit/],
      [
        'an image smaller than the kernel',
        attribute('pads', ints([0, 0, 0, 0])),
        x([1, 16, 2, 9]),
        /layer.*a kernel of 3 \(dilation 1\) does not fit 2 padded elements/,
      ],
      [
        'a residual of another shape',
        layerModel('BinaryConvAdd', plain),
        { ...feedsOf('BinaryConvAdd', plain, false), residual: { shape: [1, 6, 7, 8], seed: 1 } },
        /layer.*input residual is f32\[1, 6, 7, 8\].*do not broadcast/,
      ],
      [
        'dense data of another length',
        layerModel('BinaryGemm', plain, { xShape: ['N', 'K'] }),
        x([2, 17]),
        /layer.*input x is f32\[2, 17\]/,
      ],
    ];
  })();

  it('malformed nodes give an error with the name of the node and the reason', { timeout: 60_000 }, () => {
    const jobs = malformed.map(([, model, feeds]): Job => ({ kind: 'fails', model: save(model), feeds }));
    const results = runJobs<{ error: string | null }>(jobs);
    for (const [i, { error }] of results.entries()) expect(error, malformed[i]![0]).toMatch(malformed[i]![3]);
  });
});
