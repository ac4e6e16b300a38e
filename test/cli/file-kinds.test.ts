/** Files are known by their first bytes, whatever they are called and whichever command gets them. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeSafetensors } from '../../src/core/formats/safetensors.ts';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { findModel } from '../../src/inference/model-source-io.ts';
import { validateModel } from '../../src/inference/validate.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { readModel } from '../../src/onnx/model-io.ts';
import { convertSource, readSource } from '../../src/tasks/convert-source.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { hasShared, sharedPath } from '../convert/shared-files.ts';
import { torchLegacy, torchZip } from '../convert/torch-files.ts';
import { runCli } from './spawn-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-kinds-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const SAFETENSORS = encodeSafetensors([['w', float32([2, 3], [1, -1, 1, -1, 1, -1])]]);
const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';

describe('readSource', () => {
  it.each([
    ['net.pkl', torchZip({ deflate: false }), 'pytorch'],
    ['net', torchLegacy(), 'pytorch'],
    ['NET.PTH', torchZip({ deflate: true }), 'pytorch'],
    ['net.onnx', torchZip({ deflate: true }), 'pytorch'],
    ['net.bin', SAFETENSORS, 'safetensors'],
    ['net.pt', encodeModel(buildModel('binarynet-mini', { seed: 1 })), 'onnx'],
  ])('%s', async (name, bytes, kind) => {
    expect((await readSource(file(name, bytes))).kind).toBe(kind);
  });

  it('a pickled dict of NumPy arrays', async () => {
    const pickle = `\x80\x02}(U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01K\x02\x86cnumpy\ndtype\nU\x02i1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\xfftbu.`;
    const found = await readSource(file('net.pkl', Buffer.from(pickle, 'latin1')));
    expect(found).toMatchObject({ kind: 'pytorch' });
    expect('tensors' in found && found.tensors.get('w')).toMatchObject({ dtype: 'int8', shape: [1, 2] });
  });

  it.each<[string, Uint8Array | string, RegExp, RegExp]>([
    ['net.pt', LFS, /pointer of Git LFS/, /git lfs pull/],
    ['net.safetensors', '<html><body>Sign in</body></html>', /HTML page/, /browser/],
    ['net.h5', '', /an empty file/, /completely/],
    ['weights.bin', Uint8Array.of(1, 2, 3, 4), /no kind that is known/, /completely/],
  ])('%s that is something else', async (name, bytes, message, hint) => {
    const path = file(name, bytes);
    await expect(readSource(path)).rejects.toMatchObject({
      code: 'E_FORMAT',
      at: path,
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(hint) as string,
    });
  });

  it('a damaged .onnx file is for its reader to judge', async () => {
    const path = file('damaged.onnx', Uint8Array.of(0xff, 0xff, 3));
    await expect(convertSource(path, { signZero: 'exact' })).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringMatching(/^not an ONNX file: /) as string,
    });
  });

  it.skipIf(process.platform === 'win32')('a pipe does not keep it waiting', async () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    for (const read of [readSource, findModel, readModel]) {
      await expect(read(path)).rejects.toMatchObject({ code: 'E_IO', at: path });
    }
  });
});

describe('folders', () => {
  it.each<[string, string, RegExp, RegExp]>([
    ['SavedModel', 'saved_model.pb', /SavedModel of TensorFlow/, /tf2onnx/],
    ['shards', '__0_0.distcp', /distributed checkpoint/, /dcp_to_torch/],
    ['unpacked', 'data.pkl', /unpacked checkpoint/, /\.pt file/],
    ['tfjs', 'group1-shard1of2.bin', /TensorFlow\.js/, /converter/],
    ['hub', 'model.safetensors', /folder/, /give the file in it: .*hub.model\.safetensors/],
  ])('%s', async (name, content, message, hint) => {
    const path = join(folder, name);
    mkdirSync(path);
    file(join(name, content), 'x');
    for (const read of [readSource, findModel]) {
      await expect(read(path)).rejects.toMatchObject({
        at: path,
        message: expect.stringMatching(message) as string,
        hint: expect.stringMatching(hint) as string,
      });
    }
  });
});

describe('commands that take an ONNX file', () => {
  it.each([
    ['a checkpoint', torchZip({ deflate: false }), /not an ONNX file: this is a checkpoint of PyTorch/, /bnn-convert/],
    ['safetensors', SAFETENSORS, /not an ONNX file: this is a safetensors file/, /bnn-convert/],
    ['a pointer', LFS, /pointer of Git LFS/, /git lfs pull/],
  ])('%s', async (_, bytes, message, hint) => {
    const path = file('model.onnx', bytes);
    for (const read of [() => readModel(path), () => validateModel({ model: path, dataset: 'mnist' } as never)]) {
      await expect(read()).rejects.toMatchObject({
        code: 'E_FORMAT',
        at: path,
        message: expect.stringMatching(message) as string,
        hint: expect.stringMatching(hint) as string,
      });
    }
  });

  it('say so', async () => {
    const path = file('weights.onnx', SAFETENSORS);
    const out = join(folder, 'out');
    for (const [program, ...args] of [
      ['bnn-export', path, '-o', `${out}.onnx`],
      ['bnn-train', '--init', path, '--dataset', 'mnist', '--out', out],
    ] as const) {
      const { code, stderr } = await runCli(args, { program });
      expect(code).toBe(1);
      expect(stderr).toContain('not an ONNX file: this is a safetensors file');
    }
  }, 60_000);
});

describe.skipIf(!hasShared('cases/file-kinds'))('files of users (skipped without ../shared)', () => {
  const at = (name: string) => sharedPath(`cases/file-kinds/${name}`);
  const convert = (name: string) => convertSource(at(name), { signZero: 'exact', mapping: at('net.json') });

  it.each(['Model.PTH', 'model.pkl', 'noext', 'w.safetensors', 'bool.pt', 'weightnorm.pt'])('%s', async (name) => {
    const { report, model } = await convert(name);
    expect(report.layers.map(({ kind }) => kind)).toEqual(['binary', 'binary']);
    if (name === 'bool.pt' || name === 'weightnorm.pt') return;
    // The same weights in every form of the file.
    const reference = (await convert('Model.PTH')).model;
    expect(encodeModel(model)).toEqual(encodeModel(reference));
  });

  it.each([
    ['html.pt', 'E_FORMAT', /HTML page/],
    ['lfs.pt', 'E_FORMAT', /Git LFS/],
    ['lfs.onnx', 'E_FORMAT', /Git LFS/],
    ['net.json', 'E_FORMAT', /mapping/],
    ['prog.pt2', 'E_FORMAT', /torch\.export/],
    ['w.npz', 'E_FORMAT', /NumPy/],
    ['whole_old.pt', 'E_UNSUPPORTED', /whole object of "torch\.nn\.modules\.container\.Sequential"/],
  ])('%s', async (name, code, message) => {
    await expect(convert(name)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
      hint: expect.any(String) as string,
    });
  });

  it('attacks are refused at once', async () => {
    for (const name of ['laughs_path', 'laughs_protocol', 'odict_small', 'shapes', 'pickle_bomb_lists']) {
      const path = sharedPath(`fuzz/repro/${name}.pt`);
      expect(readFileSync(path).length).toBeLessThan(200_000);
      await expect(readSource(path), name).rejects.toMatchObject({ code: 'E_FORMAT' });
    }
  });
});
