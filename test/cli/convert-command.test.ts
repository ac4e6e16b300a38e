import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onnx } from 'onnx-proto';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { float32 } from '../../src/core/tensors/tensor.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { readModel } from '../../src/onnx/model-io.ts';
import { checkModels } from '../../src/tasks/convert-check.ts';
import { Source } from '../convert/build.ts';
import { h5File, missingH5 } from '../convert/h5-files.ts';
import { torchZip } from '../convert/torch-files.ts';
import { missingAddon } from '../inference/native-parts.ts';
import { runCli } from './spawn-cli.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'bnn-convert-')));
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string) => join(folder, name);
const convert = (...args: string[]) => runCli(args, { program: 'bnn-convert' });

function writeLarq(): string {
  const s = new Source(['N', 1, 28, 28]);
  const sign = s.op('Sign', [s.op('Add', [s.op('Sign', [s.x]), s.c(0.1)])]);
  const y = s.op(
    'Conv',
    [sign, s.c(s.signs([4, 1, 3, 3], [0.5]))],
    { kernel_shape: ints([3, 3]), strides: ints([2, 2]) },
    'conv',
  );
  const z = s.op('MatMul', [s.op('Flatten', [y], { axis: int(1) }), s.c(s.normals([676, 10]))], {}, 'dense');
  const file = path('larq.onnx');
  writeFileSync(file, encodeModel(s.finish(z)));
  return file;
}

/** A float network of pictures, 2 classes, from elsewhere: it says nothing of them. */
function writeFloat(name: string): string {
  const s = new Source(['N', 3, 16, 16]);
  const y = s.op('Conv', [s.x, s.c(s.normals([2, 3, 16, 16]))], { kernel_shape: ints([16, 16]) }, 'conv');
  const file = path(name);
  writeFileSync(file, encodeModel(s.finish(s.op('Flatten', [y], { axis: int(1) }))));
  return file;
}

describe('what pictures a network from elsewhere wants', () => {
  it('is written into both forms and beside them, and bnn-predict goes by it', async () => {
    const source = writeFloat('silent.onnx');
    const names = path('names.txt');
    writeFileSync(names, 'cat\ndog\n');
    const [latent, packed] = [path('told.onnx'), path('told-packed.onnx')];
    const files = ['-o', latent, '--packed', packed];
    const { code, stdout } = await convert(
      ...[source, ...files, '--normalize', 'imagenet', '--fit', 'squash', '--classes', names],
    );
    expect(code).toBe(0);
    expect(stdout).toContain(`pictures: ${path('told.json')}`);
    const expected = {
      dataset: 'unknown',
      size: { width: 16, height: 16 },
      fit: 'squash',
      shorterSide: null,
      filter: 'triangle',
      channelOrder: 'RGB',
      layout: 'NCHW',
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      classes: ['cat', 'dog'],
    };
    for (const name of ['told', 'told-packed']) {
      expect(JSON.parse(readFileSync(path(`${name}.json`), 'utf8'))).toEqual(expected);
      const { metadata } = await readModel(path(`${name}.onnx`));
      expect(JSON.parse(metadata.get('bnn.preprocessing')!)).toEqual(expected);
    }
    const picture = path('picture.png');
    const data = Uint8Array.from({ length: 20 * 30 * 3 }, (_, i) => (i * 2654435761) >>> 23);
    await sharp(data, { raw: { width: 20, height: 30, channels: 3 } }).toFile(picture);
    const predict = async (...args: string[]) => {
      const { stdout } = await runCli([...args, '--json'], { program: 'bnn-predict' });
      return JSON.parse(stdout.split('\n')[0]!) as { guesses: { name: string; probability: number }[] };
    };
    const told = await predict(latent, picture);
    expect(told.guesses.map(({ name }) => name).sort()).toEqual(['cat', 'dog']);
    expect(await predict(source, picture, '--normalize', 'imagenet', '--fit', 'squash', '--classes', names)).toEqual(
      told,
    );

    // Converted anew without a word: the description of before would be wrong.
    const again = await convert(source, '-o', latent);
    expect(again.stderr).toContain('was removed');
    expect(existsSync(path('told.json'))).toBe(false);
  });

  it('has to say how pixels are normalized, and needs a file to be written', async () => {
    const source = writeFloat('silent-too.onnx');
    const silent = await convert(source, '-o', path('x.onnx'), '--fit', 'pad');
    expect([silent.code, silent.stderr]).toEqual([
      1,
      expect.stringMatching(/does not say.*[\s\S]*--normalize imagenet/),
    ]);
    expect(existsSync(path('x.onnx'))).toBe(false);
    const alone = await convert(source, '--normalize', 'imagenet');
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining('--normalize does nothing with a table')]);
  });
});

describe('bnn-convert', () => {
  it('writes both forms, compares them with the source, and gives a verdict for every layer', async () => {
    const source = writeLarq();
    const { code, stdout, stderr } = await convert(
      source,
      '-o',
      path('latent.onnx'),
      '--packed',
      path('packed.onnx'),
      '--verify',
      '--what-if',
      '--dataset',
      'mnist',
      '--limit',
      '20',
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/conv +Conv +binary +1\/1 +4×1×3×3/);
    expect(stdout).toMatch(/dense +MatMul +float +32\/32/);
    expect(stdout).toMatch(/packed +20 pictures of mnist: largest difference .*, same arg-max 100\.00 %/);
    expect(stdout).toMatch(/minus at 0 +\d+ of 20 pictures/);
    const types = async (name: string) => Array.from((await readModel(path(name))).graph.nodes(), ({ type }) => type);
    expect(await types('latent.onnx')).toContain('bnn.Sign');
    expect(await types('packed.onnx')).toContain('bnn.BinaryConv');
  });

  it('prints one object with --json', async () => {
    const { code, events } = await convert(writeLarq(), '--json', '--verify', '--limit', '4');
    expect(code).toBe(0);
    const [result, ...others] = events();
    expect(others).toEqual([]);
    expect(result).toMatchObject({ event: 'result', files: [], verification: { inputs: 4 } });
    expect(result!['layers']).toMatchObject([
      { name: 'conv', kind: 'binary' },
      { name: 'dense', kind: 'float' },
    ]);
  });

  it('reads a checkpoint with a mapping', async () => {
    const checkpoint = path('net.pth.tar');
    writeFileSync(checkpoint, torchZip({ deflate: true }));
    const mapping = path('map.json');
    writeFileSync(
      mapping,
      JSON.stringify({ input: [3], layers: [{ op: 'linear', weight: 'fc.weight', bias: 'fc.bias' }] }),
    );
    const { code, stdout } = await convert(checkpoint, '--mapping', mapping, '--verify', '-o', path('net.onnx'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/fc +Gemm +float/);
    expect(stdout).toContain('note: "module." in front of the names of the checkpoint is left out');
    expect(existsSync(path('net.onnx'))).toBe(true);
    const listing = await runCli([checkpoint], { program: 'bnn-inspect' });
    expect(listing.stdout).toMatch(/^module\.fc\.weight +float32\[\d+, 3\]$/m);
  });

  it('replaces nothing that it reads: weights beside the source, mapping, names of classes', async () => {
    const external = path('beside.onnx');
    const entry = { name: 'w', dims: [3], dataType: 1, dataLocation: 1 };
    const proto = onnx.ModelProto.fromObject({
      irVersion: 8,
      opsetImport: [{ version: 17 }],
      graph: {
        name: 'g',
        node: [{ opType: 'Mul', input: ['x', 'w'], output: ['y'] }],
        initializer: [{ ...entry, externalData: [{ key: 'location', value: 'beside.bin' }] }],
        input: [{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 3 }] } } } }],
        output: [{ name: 'y', type: { tensorType: { elemType: 1 } } }],
      },
    });
    writeFileSync(external, onnx.ModelProto.encode(proto).finish());
    const checkpoint = path('kept.pt');
    writeFileSync(checkpoint, torchZip({ deflate: true }));
    const float = writeFloat('kept.onnx');
    const kept = {
      'beside.bin': new Uint8Array(12),
      'kept.json': JSON.stringify({ input: [3], layers: [{ op: 'linear', weight: 'fc.weight' }] }),
      'kept.txt': 'cat\ndog\n',
    };
    for (const [name, content] of Object.entries(kept)) writeFileSync(path(name), content);
    const [bin, json, txt] = Object.keys(kept).map(path);
    const named = [float, '--normalize', 'none', '--classes', txt!];
    for (const [args, output, what] of [
      [[external, '-o', bin!], bin, `weights of ${external}`],
      [[external, '-o', path('fine.onnx'), '--packed', bin!], bin, `weights of ${external}`],
      [[checkpoint, '--mapping', json!, '-o', json!], json, 'the mapping'],
      [[...named, '--packed', `${folder}/./kept.txt`], txt, 'the names of classes'],
    ] as const) {
      const { code, stderr } = await convert(...args);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error\[E_USAGE\]/);
      expect(stderr).toContain(`the output would replace ${what}, ${output}`);
    }
    for (const [name, content] of Object.entries(kept)) {
      expect(readFileSync(path(name))).toEqual(Buffer.from(content as string));
    }
    expect(existsSync(path('fine.onnx'))).toBe(false);
    const exported = await runCli(['export', external, '-o', bin!]);
    expect(exported.stderr).toContain(`the output would replace weights of ${external}, ${bin}`);
    expect(readFileSync(bin!)).toEqual(Buffer.alloc(12));
  });

  it.skipIf(missingH5 !== undefined)(
    `reads a Keras file with a mapping${missingH5 === undefined ? '' : ` (skipped: ${missingH5})`}`,
    async () => {
      const file = path('net.h5');
      const kernel = float32(
        [12, 2],
        Array.from({ length: 24 }, (_, i) => i - 11),
      );
      writeFileSync(file, await h5File({ 'fc/fc/kernel:0': kernel, 'fc/fc/bias:0': float32([2], [1, 2]) }));
      const mapping = path('keras.json');
      writeFileSync(
        mapping,
        JSON.stringify({
          input: [3, 2, 2],
          layers: [
            { op: 'sign' },
            { op: 'flatten' },
            { op: 'linear', weight: 'fc.weight', bias: 'fc.bias', binary: true },
          ],
        }),
      );
      const { code, stdout } = await convert(file, '--mapping', mapping, '--verify', '-o', path('keras.onnx'));
      expect(code).toBe(0);
      expect(stdout).toMatch(/fc +Gemm +binary +1\/1/);
      expect(existsSync(path('keras.onnx'))).toBe(true);
      const listing = await runCli([file], { program: 'bnn-inspect' });
      expect(listing.stdout).toContain('fc.weight  float32[2, 12]  from fc/fc/kernel:0 [12, 2]');
    },
  );

  it('says what the packed model takes in the file and in memory', async () => {
    const { code, stdout } = await convert(writeLarq());
    expect(code).toBe(0);
    // 4·9 weights: one bit each; 2 bytes per output of 9 bits in the file; 16 bytes per output in the words of the kernel, twice.
    // Besides, scale and bias: 8 bytes per output. 36 tap sums, and scale and bias once more, in the kernel.
    expect(stdout).toMatch(/^conv .* 144 bytes +37 bytes +68 bytes +176 bytes +372 bytes$/m);
    expect(stdout).toMatch(/^file +\d.* before, .* packed; ideal /m);
    expect(stdout).toMatch(/^memory +constants computed: 27\.\d kB in a stock onnxruntime/m);
    expect(stdout).not.toMatch(/^measured/m);
  });

  it.skipIf(missingAddon !== undefined || process.platform !== 'linux')(
    `measures sessions with --memory${missingAddon === undefined ? '' : ` (skipped: ${missingAddon})`}`,
    async () => {
      const { code, events } = await convert(writeLarq(), '--memory', '--json');
      expect(code).toBe(0);
      const { stockBytes } = events()[0]!['memory'] as { stockBytes: number };
      expect(stockBytes).toBeGreaterThan(0);
    },
    30_000,
  );

  it('compares with the source in standard operators where onnxruntime refuses the source', async () => {
    // Equal of floats came with operator set 11; PyTorch writes it in older ones, too.
    const s = new Source([2, 20], 9);
    const sign = s.op('Sign', [s.x]);
    const cast = s.op('Cast', [s.op('Equal', [sign, s.c(0)])], { to: int(1) });
    writeFileSync(
      path('old.onnx'),
      encodeModel(s.finish(s.op('MatMul', [s.op('Add', [sign, cast]), s.c(s.signs([20, 7]))]))),
    );
    const { code, stdout } = await convert(path('old.onnx'), '--verify');
    expect(code).toBe(0);
    expect(stdout).toMatch(/compared with the source in standard operators, since onnxruntime refuses/);
    expect(stdout).toMatch(/MatMul +MatMul +binary/);
  });

  it('counts a result that is no number as different', async () => {
    const model = (build: (s: Source) => Value) => {
      const s = new Source([2, 3]);
      return encodeModel(s.finish(build(s)));
    };
    const zeros = (s: Source) => s.op('Sub', [s.x, s.x]);
    const plain = model(zeros);
    const broken = model((s) => s.op('Mul', [s.op('Div', [zeros(s), zeros(s)]), s.x]));
    const options = { limit: 4, pixels: 'normalized' } as const;
    const largest = async (reference: Uint8Array, bytes: Uint8Array) =>
      (await checkModels(reference, [{ name: 'it', bytes }], options)).agreements[0]?.maxDifference;
    expect(await largest(plain, broken)).toBe(Infinity);
    expect(await largest(broken, broken)).toBe(0);
  });

  it('makes a float network binary by rule', async () => {
    const { code, stdout } = await convert(writeLarq(), '--binarize', '--only', 'dense', '-o', path('start.onnx'));
    expect(code).toBe(0);
    expect(stdout).toContain('made binary: dense');
  });

  it.each<[string, string[], number, RegExp]>([
    ['a missing file', ['nowhere.onnx'], 1, /E_NOT_FOUND/],
    ['--only without --binarize', ['x.onnx', '--only', 'a'], 2, /belong to --binarize/],
    ['--network for an ONNX file', ['larq.onnx', '--network', 'resnet20'], 2, /are for checkpoints/],
    ['a checkpoint alone', ['net.pth.tar'], 2, /does not say what network/],
    ['an unknown rule', ['x.onnx', '--sign-zero', 'maybe'], 2, /sign-zero/],
  ])('refuses %s', async (_, [file = '', ...args], expected, message) => {
    const { code, stdout, stderr } = await convert(path(file), ...args);
    expect(code).toBe(expected);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
  });
});
