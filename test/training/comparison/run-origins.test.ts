import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RunOrigins } from '../../../src/training/comparison/run-origins-io.ts';
import { temporaryFolder } from '../../data/temporary-folder.ts';

async function runOf(name: string, data: string | undefined, environment?: object): Promise<string> {
  const folder = join(await temporaryFolder(), name);
  await mkdir(join(folder, 'last'), { recursive: true });
  if (data !== undefined) await writeFile(join(folder, 'last/state.json'), JSON.stringify({ data }));
  if (environment !== undefined) await writeFile(join(folder, 'environment.json'), JSON.stringify(environment));
  return folder;
}

it('runs of an arm must have had the same data, those of others may learn from others', async () => {
  const origins = new RunOrigins();
  const first = await runOf('a-seed-1', 'one');
  await origins.add('a', first);
  await origins.add('a', await runOf('a-seed-2', 'one'));
  // Of an earlier version.
  await origins.add('a', await runOf('a-seed-3', undefined));
  await origins.add('b', await runOf('b-seed-1', 'other'));
  const folder = await runOf('a-seed-4', 'other');
  await expect(origins.add('a', folder)).rejects.toMatchObject({
    code: 'E_FORMAT',
    at: folder,
    message: `the data set is not the one that ${first} was trained on`,
  });
  expect(() => origins.assertSame('a', 'new', 'one')).not.toThrow();
  expect(() => origins.assertSame('a', 'new', 'other')).toThrow('the data set is not the one');
});

it('says in what runs differ that should be made alike', async () => {
  const origins = new RunOrigins();
  const same = { bnnToolchain: '0.1.0', commit: 'abc', node: '20.20.2', processor: 'P', backend: 'native', threads: 2 };
  await origins.add('a', await runOf('1', 'x', { ...same, precision: 'bf16' }));
  await origins.add('a', await runOf('2', 'x', { ...same, precision: 'float32' }));
  expect(origins.notes()).toEqual(['the runs were made with different precisions: bf16 (1), float32 (1)']);
  await origins.add('b', await runOf('3', 'x', { ...same, commit: null, precision: 'bf16' }));
  await origins.add('b', await runOf('4', 'x'));
  expect(origins.notes()).toEqual([
    'the runs were made with different commits: abc (2), unknown (1)',
    'the runs were made with different precisions: bf16 (2), float32 (1)',
  ]);
});
