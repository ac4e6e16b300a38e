import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/convert/checkpoint/convert-checkpoint.ts';
import { KERAS, PYTORCH, parseMapping } from '../../src/convert/checkpoint/mapping.ts';
import { fittingNetworks } from '../../src/convert/checkpoint/zoo-checkpoint.ts';
import { type PytorchCheckpoint, readPytorchCheckpoint } from '../../src/convert/pytorch/read-checkpoint.ts';
import { decodeSafetensors } from '../../src/core/formats/safetensors.ts';
import { float32, type Tensor, toNumbers } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { createRun } from './run-model.ts';
import { hasShared, sharedPath } from './shared-files.ts';
import {
  call,
  counting,
  dict,
  encode,
  global,
  list,
  pickle,
  Raw,
  tensorItem,
  torchLegacy,
  torchZip,
} from './torch-files.ts';

function failure(run: () => unknown): BnnError {
  try {
    run();
  } catch (error) {
    if (error instanceof BnnError) return error;
    throw error;
  }
  throw new Error('it succeeded');
}

const checkpoint = (tensors: Readonly<Record<string, Tensor>>): PytorchCheckpoint => ({
  format: 'zip',
  path: '',
  metadata: {},
  tensors: new Map(Object.entries(tensors)),
});

describe('readPytorchCheckpoint', () => {
  it.each([
    ['stored in a ZIP archive', torchZip({ deflate: false }), 'zip'],
    ['deflated in a ZIP archive', torchZip({ deflate: true }), 'zip'],
    ['in the legacy format', torchLegacy(), 'legacy'],
  ])('reads a state_dict %s', (_, bytes, format) => {
    const found = readPytorchCheckpoint(bytes);
    expect(found.format).toBe(format);
    expect(found.path).toBe('state_dict');
    expect(found.metadata).toEqual({ epoch: 7, arch: 'mlp' });
    // A transposed view of 0, 1, 2 …, and one that begins at element 6.
    expect([...found.tensors.keys()]).toEqual(['module.fc.weight', 'module.fc.bias', 'module.bn.num_batches_tracked']);
    expect(toNumbers(found.tensors.get('module.fc.weight')!)).toEqual([0, 2, 4, 1, 3, 5]);
    expect(found.tensors.get('module.fc.weight')!.shape).toEqual([2, 3]);
    expect(toNumbers(found.tensors.get('module.fc.bias')!)).toEqual([6, 7]);
    expect(toNumbers(found.tensors.get('module.bn.num_batches_tracked')!)).toEqual([5]);
  });

  it('views are the elements that their strides select', () => {
    const size = fc.integer({ min: 1, max: 4 });
    const stride = fc.integer({ min: 0, max: 5 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(size, stride), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 3 }),
        (axes, offset) => {
          const shape = axes.map(([length]) => length);
          const strides = axes.map(([, step]) => step);
          const root = dict({ w: tensorItem('0', 64, shape, strides, { offset }) });
          const { tensors } = readPytorchCheckpoint(
            torchZip({ deflate: false, root, storages: { '0': counting(64) } }),
          );
          let expected = [offset];
          for (const [length, step] of axes) {
            expected = expected.flatMap((at) => Array.from({ length }, (_, i) => at + i * step));
          }
          expect(toNumbers(tensors.get('w')!)).toEqual(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('unwraps parameters and Sizes, and ignores a Namespace', () => {
    const parameter = call(global('torch._utils', '_rebuild_parameter'), [
      tensorItem('0', 8, [2], [1]),
      true,
      call(global('collections', 'OrderedDict'), []),
    ]);
    const typed = call(global('torch._tensor', '_rebuild_from_type_v2'), [
      global('torch._utils', '_rebuild_parameter'),
      global('torch.nn.parameter', 'Parameter'),
      [tensorItem('0', 8, [1], [1], { offset: 3 }), true, null],
      dict({ tag: 1 }),
    ]);
    const args = new Raw([...call(global('argparse', 'Namespace'), []).bytes, ...dict({ lr: 1 }).bytes, 0x62]);
    const root = dict({ args, size: call(global('torch', 'Size'), [[1, 2]]), model: dict({ w: parameter, v: typed }) });
    const found = readPytorchCheckpoint(torchZip({ deflate: false, root, storages: { '0': counting(8) } }));
    expect(found.path).toBe('model');
    expect(toNumbers(found.tensors.get('w')!)).toEqual([0, 1]);
    expect(toNumbers(found.tensors.get('v')!)).toEqual([3]);
  });

  it('reads what pickle.dump wrote, a file within the file for every storage', () => {
    const storage = new Raw([...encode(['storage', global('torch', 'FloatStorage'), '0', 'cpu', 8]), 0x51]);
    const inner = torchLegacy(storage, { '0': counting(8) }, { '0': 8 });
    const size = new Uint8Array(Uint32Array.of(inner.length).buffer);
    const load = call(global('torch.storage', '_load_from_bytes'), [new Raw([0x42, ...size, ...inner])]);
    const made = call(global('torch._utils', '_rebuild_tensor_v2'), [load, 3, [2], [2], false, dict({})]);
    const found = readPytorchCheckpoint(Uint8Array.from(pickle(dict({ w: made }))));
    expect(toNumbers(found.tensors.get('w')!)).toEqual([3, 5]);
  });

  it('passes over paths and devices, however deep they are nested', () => {
    let deep: Raw = list([]);
    for (let i = 0; i < 40; i++) deep = new Raw([...deep.bytes, 0x71, 0, 0x28, 0x68, 0, 0x68, 0, 0x6c]);
    const root = dict({
      deep,
      path: call(global('pathlib', 'PosixPath'), [new Raw([0x68, 0])]),
      device: call(global('torch', 'device'), [new Raw([0x68, 0])]),
      state_dict: dict({ w: tensorItem('0', 8, [1], [1], { offset: 5 }) }),
    });
    const found = readPytorchCheckpoint(torchZip({ deflate: false, root, storages: { '0': counting(8) } }));
    expect(toNumbers(found.tensors.get('w')!)).toEqual([5]);
  });

  it.each<[string, Uint8Array, string, RegExp]>([
    [
      'a tensor that leaves its storage',
      torchZip({
        deflate: false,
        root: dict({ w: tensorItem('0', 8, [3, 3], [3, 1]) }),
        storages: { '0': counting(8) },
      }),
      'E_FORMAT',
      /element 8 of a storage of 8/,
    ],
    [
      'a storage of another size',
      torchZip({ deflate: false, root: dict({ w: tensorItem('0', 9, [9], [1]) }), storages: { '0': counting(8) } }),
      'E_FORMAT',
      /32 bytes, expected 36/,
    ],
    [
      'a missing storage',
      torchZip({ deflate: false, root: dict({ w: tensorItem('9', 1, [1], [1]) }), storages: {} }),
      'E_FORMAT',
      /storage 9 is missing/,
    ],
    [
      'a function that is not on the list',
      torchZip({ deflate: false, root: call(global('os', 'system'), ['true']) }),
      'E_UNSUPPORTED',
      /os\.system/,
    ],
    [
      'a whole module',
      torchZip({ deflate: false, root: call(global('torch.nn.modules.linear', 'Linear'), []) }),
      'E_UNSUPPORTED',
      /torch\.nn\.modules\.linear\.Linear/,
    ],
    ['a big-endian machine', torchZip({ deflate: false, byteorder: 'big' }), 'E_UNSUPPORTED', /big-endian/],
    ['no tensors', torchZip({ deflate: false, root: dict({ epoch: 1 }) }), 'E_FORMAT', /no state_dict/],
    [
      'tensors that repeat a storage without end',
      torchZip({
        deflate: false,
        root: dict({ w: tensorItem('0', 8, [100_000, 100_000], [0, 0]) }),
        storages: { '0': counting(8) },
      }),
      'E_FORMAT',
      /more than 6[45] MB/,
    ],
    [
      'storages that unpack to much more than is used of them',
      torchZip({
        deflate: true,
        root: dict({ a: tensorItem('0', 10_000_000, [1], [1]), b: tensorItem('1', 10_000_000, [1], [1]) }),
        storages: { '0': new Uint8Array(4e7), '1': new Uint8Array(4e7) },
      }),
      'E_FORMAT',
      /more than 6[45] MB/,
    ],
    [
      'a pickle that unpacks to much more than the file',
      torchZip({ deflate: true, root: list(new Array<Raw>(1_000_000).fill(dict({}))) }),
      'E_FORMAT',
      /more than \d+ MB/,
    ],
    [
      'one storage of two types',
      torchZip({
        deflate: false,
        root: dict({ a: tensorItem('0', 8, [1], [1]), b: tensorItem('0', 8, [1], [1], { type: 'IntStorage' }) }),
        storages: { '0': counting(8) },
      }),
      'E_FORMAT',
      /storage "0" has two types/,
    ],
    [
      'more dimensions than PyTorch has',
      torchZip({
        deflate: false,
        root: dict({ w: tensorItem('0', 8, new Array(65).fill(1), new Array(65).fill(1)) }),
        storages: { '0': counting(8) },
      }),
      'E_FORMAT',
      /no sizes/,
    ],
    [
      'a shape without elements whose other sizes are endless',
      torchZip({
        deflate: false,
        root: dict({ w: tensorItem('0', 8, [...new Array<number>(40).fill(2 ** 30), 0], new Array(41).fill(1)) }),
        storages: { '0': counting(8) },
      }),
      'E_FORMAT',
      /more than 6[45] MB/,
    ],
    [
      'a protocol that is a list of lists',
      Uint8Array.from([...pickle(0x1950a86a20f9469cfc6cn), ...pickle(list([list([1]), list([1])]))]),
      'E_FORMAT',
      /protocol a list of 2/,
    ],
    [
      'an old file of a whole module',
      torchLegacy(
        new Raw([
          ...encode(['module', global('torch.nn.modules.container', 'Sequential'), 'container.py', 'class Sequential']),
          0x51,
          ...encode([]),
          0x81,
          ...dict({ training: false }).bytes,
          0x62,
        ]),
        {},
      ),
      'E_UNSUPPORTED',
      /a whole object of "torch\.nn\.modules\.container\.Sequential"/,
    ],
    ['a half file', torchZip({ deflate: true }).subarray(0, 400), 'E_FORMAT', /ZIP/],
    ['a half legacy file', torchLegacy().subarray(0, -9), 'E_FORMAT', /left/],
    [
      'something else',
      Uint8Array.from([0x80, 2, 0x4b, 1, 0x2e]),
      'E_FORMAT',
      /neither a ZIP archive nor a pickle of PyTorch/,
    ],
  ])('refuses %s', (_, bytes, code, message) => {
    const error = failure(() => readPytorchCheckpoint(bytes, 'net.pt'));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.at).toBe('net.pt');
    if (code === 'E_UNSUPPORTED' && /\.Linear/.test(error.message)) expect(error.hint).toMatch(/state_dict/);
  });

  it('notices a changed byte in a storage by its checksum', () => {
    const bytes = torchZip({ deflate: false });
    const at = bytes.findIndex((_, i) => i > 300 && bytes[i + 2] === 0x80 && bytes[i + 3] === 0x3f);
    bytes[at] = 1;
    expect(failure(() => readPytorchCheckpoint(bytes)).message).toMatch(/checksum/);
  });
});

describe('zoo networks', () => {
  it('ResNet-18 at half resolution does not take the checkpoints of ResNet-18', () => {
    const tensors = (name: string) =>
      new Map(
        Array.from(buildModel(name, { seed: 1 }).graph.constants()).flatMap(({ name: of, constant }) =>
          constant === null ? [] : [[of, constant] as const],
        ),
      );
    for (const name of ['resnet18-cifar', 'resnet18-half']) expect(fittingNetworks(tensors(name))).toEqual([name]);
  });

  const path = 'golden/reste-resnet20-1w1a.safetensors';
  it.skipIf(!hasShared(path))(
    'a state_dict with PyTorch names gives the logits of PyTorch (skipped without ../shared)',
    async () => {
      const { tensors, metadata } = decodeSafetensors(readFileSync(sharedPath(path)));
      const trained = new Map(
        [...tensors]
          .filter(([name]) => name.startsWith('final.') && name !== 'final.eval_logits')
          .map(([name, t]) => [name.slice('final.'.length), t]),
      );
      const { model, report } = convertCheckpoint({ ...checkpoint({}), tensors: trained }, { network: 'resnet20' });
      expect(metadata['model']).toBeDefined();
      expect(report.layers.filter(({ kind }) => kind === 'binary')).toHaveLength(18);
      expect(report.changes).toEqual([]);
      for (const [name, t] of trained) {
        const value = model.graph.values.get(name)?.constant;
        if (value !== undefined && value !== null) expect(toNumbers(value)).toEqual(toNumbers(t));
      }
      expect(fittingNetworks(trained)).toEqual(['resnet20', 'resnet20-bireal', 'resnet20-hardtanh']);
    },
  );

  it('a matrix of many rows makes no network of many classes', () => {
    const rows = 20_000_000;
    const tensors = { 'fc.weight': { dtype: 'int8', shape: [rows, 1], data: new Int8Array(rows) } } as const;
    const begin = process.cpuUsage();
    const error = failure(() => convertCheckpoint(checkpoint(tensors), { network: 'resnet20' }));
    expect(error.code).toBe('E_NOT_FOUND');
    expect(failure(() => convertCheckpoint(checkpoint(tensors), {})).code).toBe('E_USAGE');
    // Of the processor, since others may keep the machine busy.
    expect(process.cpuUsage(begin).user).toBeLessThan(8e6);
  });

  it('names what is missing, and what fits', () => {
    const error = failure(() =>
      convertCheckpoint(checkpoint({ 'fc.weight': float32([2, 3], [1, 2, 3, 4, 5, 6]) }), { network: 'resnet20' }),
    );
    expect(error.code).toBe('E_NOT_FOUND');
    expect(error.message).toContain('conv1.weight');
    expect(error.hint).toContain('--mapping');
  });

  it('asks for the network', () => {
    expect(failure(() => convertCheckpoint(checkpoint({ w: float32([1], [1]) }), {})).code).toBe('E_USAGE');
  });
});

const MLP = {
  'fc1.weight': float32([3, 4], [0.5, -0.2, 0.1, -1, 1, 1, -1, -1, 0.3, -0.3, 0.3, -0.3]),
  'fc1.bias': float32([3], [0.5, -0.5, 0.25]),
  'bn.running_mean': float32([3], [0.1, 0.2, 0.3]),
  'bn.running_var': float32([3], [1, 2, 3]),
  'fc2.weight': float32([2, 3], [1, -1, 1, -1, -1, 1]),
};
const LAYERS = [
  { op: 'sign', zero: 'plus' },
  { op: 'linear', weight: 'fc1.weight', bias: 'fc1.bias', binary: true, scale: 'layer' },
  { op: 'batch-norm', prefix: 'bn', epsilon: 0.001 },
  { op: 'hardtanh' },
  { op: 'sign', zero: 'minus' },
  { op: 'linear', weight: 'fc2.weight', binary: true },
];
const mapping = (layers: unknown, input: unknown = [4]) => parseMapping(JSON.stringify({ input, layers }), 'map.json');

describe('mapping files', () => {
  it('give the network that they describe', async () => {
    const { lowered, report } = convertCheckpoint(checkpoint(MLP), { mapping: mapping(LAYERS) });
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary', 'binary']);
    const run = await createRun(lowered.model);
    const x = [0, -1, 2, -0.5];
    const [w1, b1, w2] = [MLP['fc1.weight'].data, MLP['fc1.bias'].data, MLP['fc2.weight'].data];
    const signs = x.map((v) => (v >= 0 ? 1 : -1));
    const alpha = w1.reduce((sum, w) => sum + Math.abs(w), 0) / w1.length;
    const hidden = [0, 1, 2].map((o) => {
      const sum = signs.reduce((total, sign, k) => total + sign * (w1[4 * o + k]! >= 0 ? 1 : -1), 0);
      const y = alpha * sum + b1[o]!;
      const normal = (y - MLP['bn.running_mean'].data[o]!) / Math.sqrt(MLP['bn.running_var'].data[o]! + 0.001);
      return normal > 0 ? 1 : -1;
    });
    const expected = [0, 1].map((o) => hidden.reduce((total, h, k) => total + h * w2[3 * o + k]!, 0));
    expect(Array.from(await run(Float32Array.from(x), [1, 4]))).toEqual(expected);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['no JSON', () => parseMapping('{'), /not JSON/],
    ['no input', () => mapping([{ op: 'relu' }], 'x'), /"input"/],
    ['no layers', () => mapping([]), /"layers"/],
    ['an unknown operator', () => mapping([{ op: 'lineer' }]), /layer 1 \(lineer\): unknown op/],
    ['an unknown field', () => mapping([{ op: 'sign', zeros: 1 }]), /unknown field "zeros"/],
    [
      'a wrong value',
      () => mapping([{ op: 'sign', zero: 'maybe' }]),
      /"zero" is "maybe", expected zero or plus or minus/,
    ],
    ['a missing field', () => mapping([{ op: 'linear' }]), /"weight" is missing/],
    [
      'a name that is not there',
      () => convertCheckpoint(checkpoint(MLP), { mapping: mapping([{ op: 'linear', weight: 'fc1.wait' }]) }),
      /no "fc1.wait"/,
    ],
    [
      'layers that do not fit',
      () => convertCheckpoint(checkpoint(MLP), { mapping: mapping([{ op: 'linear', weight: 'fc2.weight' }]) }),
      /does not fit/,
    ],
  ])('refuse %s', (_, run, message) => {
    expect(failure(run).message).toMatch(message);
  });

  const CONV_LAYER = { op: 'conv', weight: 'w' };
  const WHOLE = 'a whole number of';
  it.each<[string, Record<string, unknown>, unknown, string]>([
    ['stride', CONV_LAYER, 1.5, `${WHOLE} 1 or more`],
    ['dilation', CONV_LAYER, 0, `${WHOLE} 1 or more`],
    ['groups', CONV_LAYER, -1, `${WHOLE} 1 or more`],
    ['groups', CONV_LAYER, 2 ** 60, `${WHOLE} 1 or more`],
    ['pad', CONV_LAYER, -1, `${WHOLE} 0 or more, or "same"`],
    ['pad', CONV_LAYER, 'valid', `${WHOLE} 0 or more, or "same"`],
    ['kernel', { op: 'max-pool' }, 0, `${WHOLE} 1 or more`],
    ['kernel', { op: 'max-pool' }, undefined, `${WHOLE} 1 or more`],
    ['stride', { op: 'average-pool', kernel: 2 }, '2', `${WHOLE} 1 or more`],
    ['pad', { op: 'average-pool', kernel: 2 }, 0.5, `${WHOLE} 0 or more`],
    ['epsilon', { op: 'batch-norm', prefix: 'bn' }, -1, 'a number of 0 or more'],
  ])('refuse %s of %o that is %j', (field, layer, value, expected) => {
    const error = failure(() => mapping([{ op: 'relu' }, { ...layer, [field]: value }]));
    expect(error.code).toBe('E_FORMAT');
    expect(error.message).toBe(
      `layer 2 (${layer['op']}): "${field}" is ${value === undefined ? 'missing' : JSON.stringify(value)}, expected ${expected}`,
    );
  });

  it.each([
    ['PyTorch', PYTORCH, {}, true],
    ['Keras', KERAS, {}, false],
    ['a field', PYTORCH, { countPad: false }, false],
    ['a field against Keras', KERAS, { countPad: true }, true],
  ])('averages over padding, as %s has it', async (_, conventions, field, countsPad) => {
    const layers = [{ op: 'average-pool', kernel: 3, stride: 2, pad: 1, ...field }];
    const given = parseMapping(JSON.stringify({ input: [1, 4, 4], layers }), 'map.json', conventions);
    const { model, lowered } = convertCheckpoint(checkpoint(MLP), { mapping: given });
    const x = Float32Array.from({ length: 16 }, (_, i) => (i * 7) % 5);
    const expected: number[] = [];
    for (let row = 0; row < 2; row++) {
      for (let column = 0; column < 2; column++) {
        const inside: number[] = [];
        for (let i = 0; i < 9; i++) {
          const [r, c] = [2 * row + Math.floor(i / 3) - 1, 2 * column + (i % 3) - 1];
          if (r >= 0 && r < 4 && c >= 0 && c < 4) inside.push(x[4 * r + c]!);
        }
        expected.push(inside.reduce((sum, value) => sum + value, 0) / (countsPad ? 9 : inside.length));
      }
    }
    for (const form of [model, lowered.model]) {
      const found = await (await createRun(form))(x, [1, 1, 4, 4]);
      for (const [i, y] of expected.entries()) expect(found[i]).toBeCloseTo(y, 5);
    }
  });

  it('take zeros and numbers that need be no integers where these make sense', () => {
    const layers = [
      { op: 'batch-norm', prefix: 'bn', epsilon: 0 },
      { op: 'average-pool', kernel: 1, pad: 0 },
      { ...CONV_LAYER, pad: 'same' },
    ];
    expect(mapping(layers).layers).toMatchObject(layers);
  });

  it('may name weights more than once, and layers as others begin', async () => {
    const w = float32([2, 2], [1, -1, 1, 1]);
    const tensors = { 'a.weight': w, 'a.running_mean': float32([2], [0, 0]), 'a.running_var': float32([2], [1, 1]) };
    const dense = { op: 'linear', weight: 'a.weight', binary: true };
    const { model, lowered } = convertCheckpoint(checkpoint({ ...tensors, 'b.weight': w }), {
      mapping: mapping([dense, { op: 'relu' }, dense, { ...dense, weight: 'b.weight' }, dense], [2]),
    });
    for (const form of [model, lowered.model]) {
      expect(Array.from(await (await createRun(form))(Float32Array.of(3, 1), [1, 2]))).toEqual([-12, -4]);
    }
  });

  it('say what of the checkpoint they leave out', () => {
    const { report } = convertCheckpoint(checkpoint(MLP), {
      mapping: mapping([{ op: 'linear', weight: 'fc1.weight' }]),
    });
    expect(report.changes.join()).toContain('bn.running_mean');
  });
});
