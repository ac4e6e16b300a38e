import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePreprocessing, PREPROCESSING_KEY } from '../../src/core/pictures/preprocessing.ts';
import { Builder } from '../../src/graph/builder.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { PREPROCESSING, smallModel } from '../web/browser.ts';
import { runCli } from './spawn-cli.ts';

/** Each case starts processes, on a machine that may be busy. */
const SLOW = { timeout: 60_000 };
const FILES = ['bnn-web.js', 'engine-threads.wasm', 'engine.wasm', 'index.html', 'model.onnx', 'page.js', 'style.css'];

describe('bnn web', SLOW, () => {
  let folder: string;
  const place = (name: string): string => join(folder, name);
  const web = (...args: string[]) => runCli(['web', ...args]);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bnn-web-command-'));
    writeFileSync(place('net.onnx'), smallModel());
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('writes a folder of files, again into the same one, with a title as it was given', async () => {
    const title = `<b>"A" & 'B'</b> $& $1`;
    const out = place('site');
    expect((await web(place('net.onnx'), '-o', out)).code).toBe(0);
    const { code, stdout, events } = await web(place('net.onnx'), '-o', out, '--title', title, '--json');
    expect({ code, files: readdirSync(out).sort() }, stdout).toEqual({ code: 0, files: FILES });
    const html = readFileSync(join(out, 'index.html'), 'utf8');
    const escaped = '&#60;b&#62;&#34;A&#34; &#38; &#39;B&#39;&#60;/b&#62; $&#38; $1';
    expect(html).toContain(`<title>${escaped}</title>`);
    expect(html).toContain(`<h1 id="title">${escaped}</h1>`);
    expect(readFileSync(join(out, 'model.onnx'))).toEqual(Buffer.from(smallModel()));
    const [result] = events() as { files: { name: string; bytes: number }[]; gzipBytes: number; modelBytes: number }[];
    expect(result!.files.map(({ name }) => name).sort()).toEqual(FILES);
    expect(result!.modelBytes).toBe(smallModel().length);
    expect(result!.gzipBytes).toBeLessThan(result!.files.reduce((sum, { bytes }) => sum + bytes, 0));
  });

  const silent = () => smallModel(3, null);
  const numbers = () => {
    const builder = new Builder('numbers');
    builder.output(builder.op('Relu', [builder.input('x', 'float32', ['N', 7])]), 'float32', ['N', 7]);
    return encodeModel(builder.model);
  };
  const float = () => {
    const model = buildModel('binarynet-mini-fp', { seed: 1 });
    model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(PREPROCESSING));
    return encodeModel(model);
  };
  test.each([
    ['a float network', float, /no packed file/, /bnn-export/],
    [
      'a network in latent form',
      () => encodeModel(buildModel('binarynet-mini', { seed: 1 })),
      /no packed file/,
      /bnn-export/,
    ],
    ['what takes no pictures', numbers, /no packed file/, /bnn-export/],
    ['a file that does not say how pictures are prepared', silent, /how its pictures are prepared/, /bnn-train/],
    ['half a file', () => smallModel().subarray(0, 3000), /not an ONNX file/, /copied/],
    ['a text', () => Buffer.from('hello, this is a text\n'), /ONNX/, /./],
  ] as const)('%s is refused before anything is written', async (name, bytes, message, hint) => {
    const [path, out] = [place(`${name}.onnx`), place(`${name} site`)];
    writeFileSync(path, bytes());
    const { code, stdout, stderr } = await web(path, '-o', out);
    expect(stderr).toMatch(/^error\[E_(UNSUPPORTED|FORMAT)\] bnn web: /m);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(hint);
    expect({ code, stdout, made: readdirSync(folder).includes(`${name} site`) }).toEqual({
      code: 1,
      stdout: '',
      made: false,
    });
  });

  test('--train makes a page without a model', async () => {
    const out = place('training');
    const { code, stdout, events } = await web('--train', '-o', out, '--json');
    expect(code, stdout).toBe(0);
    const files = readdirSync(out).sort();
    expect(files).toEqual(expect.arrayContaining(['index.html', 'page.js', 'train-images.idx.gz', 'worker.js']));
    expect(files).not.toContain('model.onnx');
    const [result] = events() as { files: { name: string }[] }[];
    expect(result!.files.map(({ name }) => name).sort()).toEqual(files);
    expect(JSON.parse(readFileSync(join(out, 'training.json'), 'utf8'))).toMatchObject({
      pictures: { train: 60_000, test: 10_000 },
      recipe: { model: 'binarynet-mini', epochs: 3 },
    });

    const both = await web(place('net.onnx'), '--train', '-o', place('both'));
    expect({ code: both.code, stderr: both.stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('leave one'),
    });
    const neither = await web('-o', place('neither'));
    expect({ code: neither.code, stderr: neither.stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--train'),
    });
    const data = await web(place('net.onnx'), '--data', folder, '-o', place('data'));
    expect({ code: data.code, stderr: data.stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--train'),
    });
    const nothing = await web('--train', '--data', mkdtempSync(join(folder, 'empty-')), '-o', place('nothing'));
    expect(nothing.stderr).toMatch(/E_NOT_FOUND[\s\S]*train-images-idx3-ubyte/);
    expect(readdirSync(folder)).not.toContain('nothing');
  });

  test('a folder of other things stays as it is; so does a file in its place', async () => {
    const other = mkdtempSync(join(folder, 'other-'));
    writeFileSync(join(other, 'index.html'), 'mine');
    const inOther = await web(place('net.onnx'), '-o', other);
    expect({ code: inOther.code, files: readdirSync(other) }).toEqual({ code: 2, files: ['index.html'] });
    expect(inOther.stderr).toContain('this folder holds other files');
    const inFile = await web(place('net.onnx'), '-o', place('net.onnx'));
    expect(inFile.stderr).toMatch(/^error\[E_/m);
    expect({ code: inFile.code, bytes: readFileSync(place('net.onnx')) }).toEqual({
      code: 1,
      bytes: Buffer.from(smallModel()),
    });
    const nowhere = await web(place('net.onnx'));
    expect(nowhere.stderr).toMatch(/no folder given[\s\S]*-o FOLDER/);
    expect(nowhere.code).toBe(2);
  });
});
