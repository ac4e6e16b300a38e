/** What CONTRIBUTING.md promises of adding things: the files it names are enough. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOYS } from './toys.ts';
import { chapter, TreeCopy } from './tree-copy.ts';

const SLOW = 300_000;
const TSC = 'node_modules/typescript/bin/tsc';
const TSX = 'node_modules/tsx/dist/cli.mjs';
const VITEST = 'node_modules/vitest/vitest.mjs';

describe.each(TOYS)('$chapter', ({ chapter: what, changes }) => {
  it.each(changes)('$file stands in CONTRIBUTING.md', (change) => {
    const names = 'text' in change ? folders(change.file) : [change.file, change.file.split('/').at(-1)];
    expect(names.some((name) => chapter(what).includes(`\`${name}\``))).toBe(true);
  });
});

/** That a new file may be said to be in, as they are written. */
function folders(file: string): string[] {
  const folder = dirname(file);
  return [`${folder}/`, `${dirname(folder)}/`];
}

describe('with a toy of each', { timeout: SLOW }, () => {
  const copy = new TreeCopy(['src', 'test', 'tools', 'models/recipe.schema.json', 'packages', 'proto']);
  beforeAll(() => {
    for (const { changes } of TOYS) for (const change of changes) copy.apply(change);
  });
  afterAll(() => copy.delete());

  it('all types fit', () => {
    const { stdout, status } = copy.node(TSC, '-p', '.');
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });

  it('the schema of recipes follows', () => {
    const { stderr, status } = copy.node(TSX, 'tools/gen-recipe-schema.ts');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { properties } = JSON.parse(copy.read('models/recipe.schema.json'));
    expect(properties.estimator.enum).toContain('toy');
    expect(properties.dataset.enum).toContain('toy');
    expect(properties.backend.enum).toContain('toy');
    expect(properties.toyWidth).toBeDefined();
  });

  it('the tests that are there try them', () => {
    const { stdout, status } = copy.node(
      VITEST,
      ...['run', '-t', 'toy|every estimator|Atan|imports only', '--reporter=verbose', '--no-color'],
      ...[
        'test/estimators/rivals.test.ts',
        'test/training/program/gradients.test.ts',
        'test/training/program/forward.test.ts',
      ],
      ...['test/data/sets/toy.test.ts', 'test/kernels', 'test/rewriting/exact', 'test/layers.test.ts'],
    );
    expect(status, stdout).toBe(0);
    for (const name of [
      /✓ .*toy_w0\.5 > equals its golden values in float64/,
      /✓ .*gradients on cpu .* > the toy Atan/,
      /✓ .*forward pass on cpu .* > the toy Atan/,
      /✓ .*row \d+ Atan/,
      /✓ .*the toy has stripes/,
      /✓ .*toy, seed \d+ > BnnSign by its composition: it is a toy/,
    ]) {
      expect(stdout).toMatch(name);
    }
  });

  it('a training uses them', () => {
    const out = join(copy.path, 'run');
    const { stderr, status } = copy.node(
      TSX,
      ...['src/cli/bnn.ts', 'train', '--dataset', 'toy', '--estimator', 'toy', '--toy-width', '2', '--backend'],
      ...['toy', '--model', 'binarynet-mini', '--epochs', '1', '--batch-size', '50', '--quiet', '--out', out],
    );
    expect(status, stderr).toBe(0);
    expect(JSON.parse(readFileSync(join(out, 'recipe.json'), 'utf8'))).toMatchObject({
      ...{ dataset: 'toy', estimator: 'toy', toyWidth: 2, backend: 'toy' },
    });
  });

  it('its network is exported, and an engine runs it', () => {
    const file = join(copy.path, 'toy.onnx');
    const exported = copy.node(TSX, 'src/cli/bnn.ts', 'export', join(copy.path, 'run'), '-o', file, '--quiet');
    expect(exported.status, exported.stderr).toBe(0);
    const { stdout, stderr, status } = copy.node(
      TSX,
      ...['src/cli/bnn.ts', 'validate', file, '--dataset', 'toy', '--engine', 'toy', '--json'],
    );
    expect(status, stderr).toBe(0);
    const { engine, runtime, classes } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect({ engine, runtime }).toEqual({ engine: 'toy', runtime: 'a toy' });
    expect(classes).toMatchObject([
      { name: 'lying', top1: 0 },
      { name: 'standing', top1: 1 },
    ]);
  });
});
