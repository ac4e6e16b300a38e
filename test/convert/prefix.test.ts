/** Names in checkpoints that stand behind those of a class or a wrapper around the network. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ConvertedCheckpoint, convertCheckpoint } from '../../src/convert/checkpoint/convert-checkpoint.ts';
import { parseMapping } from '../../src/convert/checkpoint/mapping.ts';
import { fittingNetworks } from '../../src/convert/checkpoint/zoo-checkpoint.ts';
import { readPytorchCheckpoint } from '../../src/convert/pytorch/read-checkpoint.ts';
import { decodeSafetensors } from '../../src/core/formats/safetensors.ts';
import { maxAbsoluteError } from '../../src/core/numbers/tolerance.ts';
import { float32, type Tensor } from '../../src/core/tensors/tensor.ts';
import { createRun } from './run-model.ts';
import { hasShared, sharedPath } from './shared-files.ts';
import { call, dict, global, Raw, tensorItem, torchLegacy, torchZip } from './torch-files.ts';

const MAPPING = parseMapping(
  JSON.stringify({
    input: [4],
    layers: [
      { op: 'sign', zero: 'plus' },
      { op: 'linear', weight: 'fc1.weight', bias: 'fc1.bias', binary: true },
      { op: 'batch-norm', prefix: 'bn' },
      { op: 'hardtanh' },
      { op: 'sign', zero: 'plus' },
      { op: 'linear', weight: 'fc2.weight', bias: 'fc2.bias', binary: true },
      { op: 'log-softmax' },
    ],
  }),
);

/** Shapes of the state_dict in its order. */
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'fc1.weight': [6, 4],
  'fc1.bias': [6],
  'bn.weight': [6],
  'bn.bias': [6],
  'bn.running_mean': [6],
  'bn.running_var': [6],
  'bn.num_batches_tracked': [],
  'fc2.weight': [2, 6],
  'fc2.bias': [2],
};

/** Tensor k holds sin(1 + k + 1.7 i); the variances |.| + 0.5. */
const NUMBERS = new Map(
  Object.entries(SHAPES).map(([name, shape], k) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const wave = Array.from({ length: count }, (_, i) => Math.sin(1 + k + 1.7 * i));
    return [name, float32(shape, name.endsWith('var') ? wave.map((v) => Math.abs(v) + 0.5) : wave)] as const;
  }),
);
const INPUTS = [0.5, -1, 0, 2, -0, 1, -3, -0.1, 1, 1, 1, -1];
/** What PyTorch 2.13 computes of the same module with the same numbers. */
const OUTPUTS = [-0.226676, -1.59543, -2.700762, -0.069516, -10.63127, -2.4e-5];

const renamed = (rename: (name: string) => string) =>
  new Map(Array.from(NUMBERS, ([name, tensor]) => [rename(name), tensor] as const));
const behind = (...prefixes: readonly string[]) =>
  new Map(prefixes.flatMap((prefix) => [...renamed((name) => prefix + name)]));
const convert = (tensors: ReadonlyMap<string, Tensor>, prefix?: string) =>
  convertCheckpoint({ tensors }, { mapping: MAPPING, prefix, at: 'net.ckpt' });

async function expectPytorch({ model, lowered }: ConvertedCheckpoint): Promise<void> {
  for (const form of [model, lowered.model]) {
    const y = await (await createRun(form))(Float32Array.from(INPUTS), [3, 4]);
    expect(maxAbsoluteError(y, Float32Array.from(OUTPUTS))).toBeLessThan(2e-6);
  }
}

describe('names of a checkpoint', () => {
  it.each(['', 'model.', 'net._orig_mod.', 'module.', '_orig_mod.module.', 'ema.module.', 'a.b.c.'])(
    'all behind "%s"',
    async (prefix) => {
      const converted = convert(behind(prefix));
      const notes = converted.report.changes.filter((note) => note.includes('in front of'));
      expect(notes).toEqual(prefix === '' ? [] : [`"${prefix}" in front of the names of the checkpoint is left out`]);
      await expectPytorch(converted);
    },
  );

  it('beside entries of something else, which the report names', async () => {
    const converted = convert(new Map([...behind('module.'), ['n_averaged', float32([], [9])]]));
    expect(converted.report.changes).toContain('1 entry of the checkpoint is not used: n_averaged');
    await expectPytorch(converted);
  });

  it('with wrappers around single layers', async () => {
    const converted = convert(renamed((name) => `model.${name.replace(/^(fc\d)/, '$1._orig_mod.module')}`));
    expect(converted.report.changes.join()).toMatch(/"model\." in front .*wrappers inside the names/);
    await expectPytorch(converted);
  });

  it('in full are taken as they are, whatever else ends in them', async () => {
    await expectPytorch(convert(behind('', 'teacher.')));
  });

  it('behind two prefixes are an error that names both, and one may be chosen', async () => {
    const tensors = behind('model.', 'ema.module.');
    expect(() => convert(tensors)).toThrow(/behind "model\." and "ema\.module\."/);
    for (const prefix of ['ema', 'ema.', 'ema.module.']) await expectPytorch(convert(tensors, prefix));
    expect(() => convert(tensors, 'emo')).toThrow(/no entry .* begins with "emo\."/);
  });

  it('behind a prefix that lacks one of them are an error with the whole name', () => {
    const tensors = behind('model.');
    tensors.delete('model.fc2.bias');
    expect(() => convert(tensors)).toThrow(/has no "model\.fc2\.bias"/);
  });

  const path = 'golden/reste-resnet20-1w1a.safetensors';
  it.skipIf(!hasShared(path))('of a built-in network (skipped without ../shared)', () => {
    const { tensors } = decodeSafetensors(readFileSync(sharedPath(path)));
    const stem = 'final.';
    const names = [...tensors].filter(([name]) => name.startsWith(stem) && name !== 'final.eval_logits');
    const wrapped = new Map(names.map(([name, tensor]) => [`model.${name.slice(stem.length)}`, tensor]));
    expect(fittingNetworks(wrapped)).toContain('resnet20');
    const { report } = convertCheckpoint({ tensors: wrapped }, { network: 'resnet20' });
    expect(report.changes).toEqual(['"model." in front of the names of the checkpoint is left out']);
    wrapped.delete('model.conv1.weight');
    expect(() => convertCheckpoint({ tensors: wrapped }, { network: 'resnet20' })).toThrow(
      /lacks 1 parameter of resnet20 behind "model\.": conv1\.weight/,
    );
  });
});

/** What a trainer saves besides: classes of its own, optimizers, metrics. */
function trainerState(root: string, value: Raw): Raw {
  const name = 'lightning.fabric.utilities.data';
  const empty = call(global(name, 'AttributeDict'), []);
  const items = dict({ lr: 1, made: call(global(name, 'Config'), [call(global('functools', 'partial'), [])]) });
  // EMPTY_DICT is replaced by the object that the items are set in.
  const settings = new Raw([...empty.bytes, ...items.bytes.slice(1)]);
  const score = tensorItem('0', 4, [], []);
  return dict({
    epoch: 3,
    'pytorch-lightning_version': '2.5.0',
    hyper_parameters: settings,
    callbacks: dict({ ModelCheckpoint: dict({ best_model_score: score }) }),
    [root]: value,
  });
}

describe('checkpoints with classes of a trainer', () => {
  const floats = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const state = dict({ 'model.w': tensorItem('0', 4, [2, 2], [2, 1]) });
  const options = { deflate: false, storages: { '0': floats } };

  it('hold a state_dict all the same, in both formats', () => {
    const root = trainerState('state_dict', state);
    for (const bytes of [torchZip({ ...options, root }), torchLegacy(root, { '0': floats }, { '0': 4 })]) {
      const { tensors, path, metadata } = readPytorchCheckpoint(bytes);
      expect(path).toBe('state_dict');
      expect(tensors.get('model.w')?.data).toEqual(Float32Array.of(1, 2, 3, 4));
      expect(metadata).toEqual({ epoch: 3, 'pytorch-lightning_version': '2.5.0' });
    }
  });

  it.each<[string, Raw, RegExp]>([
    [
      'a module where the state_dict should be, beside a lone tensor',
      dict({ model: call(global('nets', 'Net'), []), best: tensorItem('0', 4, [], []) }),
      /nets\.Net/,
    ],
    [
      'a tensor that is not read',
      dict({
        state_dict: dict({ a: tensorItem('0', 4, [], []), w: call(global('torch._utils', '_rebuild_qtensor'), []) }),
      }),
      /"w" is what torch\._utils\._rebuild_qtensor makes/,
    ],
  ])('are refused for %s', (_, root, message) => {
    expect(() => readPytorchCheckpoint(torchZip({ ...options, root }), 'net.pt')).toThrow(message);
  });
});
