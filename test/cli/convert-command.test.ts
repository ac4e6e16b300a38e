import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { int, ints } from '../../src/graph/attribute.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { readModel } from '../../src/onnx/model-io.ts';
import { Source } from '../convert/build.ts';
import { torchZip } from '../convert/torch-files.ts';
import { runCli } from './spawn-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-convert-'));
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
  const z = s.op('MatMul', [s.op('Flatten', [y], { axis: int(1) }), s.c(s.normal([676, 10]))], {}, 'dense');
  const file = path('larq.onnx');
  writeFileSync(file, encodeModel(s.finish(z)));
  return file;
}

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
    expect(existsSync(path('net.onnx'))).toBe(true);
    const listing = await runCli([checkpoint], { program: 'bnn-inspect' });
    expect(listing.stdout).toMatch(/^fc\.weight +float32\[\d+, 3\]$/m);
  });

  it('makes a float network binary by rule', async () => {
    const { code, stdout } = await convert(writeLarq(), '--binarize', '--only', 'dense', '-o', path('start.onnx'));
    expect(code).toBe(0);
    expect(stdout).toContain('made binary: dense');
  });

  it.each<[string, string[], number, RegExp]>([
    ['a missing file', ['nowhere.onnx'], 1, /E_NOT_FOUND/],
    ['--only without --binarize', ['x.onnx', '--only', 'a'], 2, /belong to --binarize/],
    ['--network for an ONNX file', ['larq.onnx', '--network', 'resnet20'], 2, /for PyTorch checkpoints/],
    ['a checkpoint alone', ['net.pth.tar'], 2, /does not say what network/],
    ['an unknown rule', ['x.onnx', '--sign-zero', 'maybe'], 2, /sign-zero/],
  ])('refuses %s', async (_, [file = '', ...args], expected, message) => {
    const { code, stdout, stderr } = await convert(path(file), ...args);
    expect(code).toBe(expected);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
  });
});
