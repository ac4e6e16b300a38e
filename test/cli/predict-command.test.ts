import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { smallModel, somePixels } from '../web/browser.ts';
import { runCli } from './spawn-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-predict-cli-'));
const model = join(folder, 'net.onnx');
const silent = join(folder, 'silent.onnx');
const odd = join(folder, 'a "b", c.png');
const plain = join(folder, 'photos', 'x.jpg');

beforeAll(async () => {
  mkdirSync(join(folder, 'photos'));
  writeFileSync(model, smallModel());
  writeFileSync(silent, smallModel(3, null));
  writeFileSync(join(folder, 'photos', 'notes.txt'), 'no picture');
  for (const [i, file] of [odd, plain].entries()) {
    const { data } = somePixels(40, 30, i);
    await sharp(data, { raw: { width: 40, height: 30, channels: 4 } })
      .removeAlpha()
      .toFile(file);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const predict = (...args: string[]) => runCli(args, { program: 'bnn-predict' });

it('one picture: five classes; several: one line each', async () => {
  const one = await predict(model, plain);
  expect(one.code).toBe(0);
  expect(one.stdout).toMatch(/^\S+x\.jpg\n( *[\d.]+ % {2}\S.*\n){4}$/);
  const two = await predict(model, odd, join(folder, 'photos'));
  expect(two.stdout).toMatch(/^ *[\d.]+ % {2}.* {2}\S+a "b", c\.png\n *[\d.]+ % {2}.*x\.jpg\n$/);
  expect(two.stderr).toContain('other files .txt (1)');
});

it('--csv quotes what needs it, and adds up', async () => {
  const { stdout } = await predict(model, odd, '--csv', '--top', '9');
  const [head, ...rows] = stdout.trimEnd().split('\n');
  expect(head).toBe('picture,rank,class,index,probability');
  expect(rows).toHaveLength(4);
  for (const [i, row] of rows.entries()) expect(row.startsWith(`"${odd.replaceAll('"', '""')}",${i + 1},`)).toBe(true);
  expect(rows.reduce((sum, row) => sum + Number(row.split(',').at(-1)), 0)).toBeCloseTo(1, 6);
});

it.skipIf(process.platform === 'win32')(
  '--csv has the paths as they are, in whole lines, whatever COLUMNS says',
  async () => {
    const name = join(folder, 'a tab\there, and a name that is longer than the line.png');
    copyFileSync(odd, name);
    const csv = (COLUMNS: string) =>
      runCli([model, name, '--csv', '--top', '2'], { program: 'bnn-predict', env: { COLUMNS } });
    const { stdout } = await csv('30');
    expect(stdout.split('\n').map((row) => row.slice(0, row.lastIndexOf('",') + 1))).toEqual([
      '',
      `"${name}"`,
      `"${name}"`,
      '',
    ]);
    expect((await csv('')).stdout).toBe(stdout);
  },
);

it('--json: an event for each picture, for broken ones, and a result; the exit code says that there was one', async () => {
  const { code, events, stderr } = await predict(
    model,
    plain,
    model,
    join(folder, 'absent.png'),
    '--json',
    '--top',
    '2',
  );
  expect(events()).toMatchObject([
    { event: 'picture', picture: plain, guesses: [{ name: expect.any(String) }, { probability: expect.any(Number) }] },
    { event: 'broken', picture: model, code: 'E_FORMAT' },
    { event: 'broken', picture: join(folder, 'absent.png'), code: 'E_NOT_FOUND' },
    { event: 'result', pictures: 1, broken: 2 },
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain('2 pictures of 3 could not be classified');
});

it('says which options give what a file does not say', async () => {
  const refused = await predict(silent, plain);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/E_UNSUPPORTED.*\n.*\n.*--normalize/)]);
  const names = join(folder, 'names.txt');
  writeFileSync(names, 'one\r\ntwo\r\nthree\r\nfour\r\n');
  const told = await predict(silent, plain, '--normalize', 'imagenet', '--fit', 'squash', '--classes', names);
  expect(told.code).toBe(0);
  expect(told.stdout).toMatch(/ % {2}(one|two|three|four)\n/);
  expect((await predict(silent, plain, '--normalize', 'none')).stdout).toMatch(/class \d\n/);
});

it('refuses two forms at once', async () => expect((await predict(model, plain, '--csv', '--json')).code).toBe(2));
