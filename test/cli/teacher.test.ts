import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import type { Recipe } from '../../src/training/recipes/recipe.ts';
import { readHistory } from '../../src/training/sessions/history-io.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 60_000;
const native = loadNativeAddon();
const SMALL = [
  ...['--limit-train', '320', '--limit-test', '100', '--epochs', '2', '--backend', 'native', '--threads', '1'],
  '--quiet',
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-teacher-'));
  await writeModel(join(folder, 'float.onnx'), buildModel('binarynet-mini-fp', { seed: 5, imageSize: 28 }));
  await writeModel(join(folder, 'seven.onnx'), buildModel('binarynet-mini-fp', { seed: 5, imageSize: 28, classes: 7 }));
});
afterAll(() => rm(folder, { recursive: true }));

test.skipIf(!native.ok)(
  'an ONNX teacher run by onnxruntime: imitation alone learns its logits, and a resumed run ends the same',
  async () => {
    const teacher = ['--teacher', join(folder, 'float.onnx'), '--teacher-weight', '1', '--temperature', '2'];
    const [imitating, plain, cached] = ['imitating', 'plain', 'cached'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    let isSent = false;
    const args = [...SMALL.filter((arg) => arg !== '--quiet'), ...teacher, '--out', join(folder, 'stopped')];
    const [run, reference, kept, stopped] = await Promise.all([
      runCli(['train', ...SMALL, ...teacher, '--out', imitating]),
      runCli(['train', ...SMALL, '--out', plain]),
      runCli(['train', ...SMALL, ...teacher, '--teacher-cache', '1', '--out', cached]),
      runCli(['train', ...args], {
        during: (child, stderr) => {
          if (!isSent && /\n\| +1 \|/.test(stderr)) isSent = child.kill('SIGINT');
        },
      }),
    ]);
    expect([run.code, reference.code, kept.code, stopped.code]).toEqual([0, 0, 0, 130]);
    const [first, second] = await readHistory(join(imitating, 'history.jsonl'));
    expect(second!.trainLoss).toBeLessThan(first!.trainLoss);
    const labels = await readHistory(join(plain, 'history.jsonl'));
    // The teacher is untrained: who imitates it does not learn the labels.
    expect(labels[1]!.trainTop1).toBeGreaterThan(second!.trainTop1 + 0.15);

    // The teacher may lie elsewhere by then, but must be the same.
    const recorded = JSON.parse(await readFile(join(folder, 'stopped', 'recipe.json'), 'utf8')) as Recipe;
    const digest = createHash('sha256')
      .update(await readFile(join(folder, 'float.onnx')))
      .digest('hex');
    expect(recorded).toMatchObject({ teacher: join(folder, 'float.onnx'), teacherSha256: digest });
    await rename(join(folder, 'float.onnx'), join(folder, 'moved.onnx'));
    const resume = ['train', '--resume', '--out', join(folder, 'stopped')];
    const gone = await runCli(resume);
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringMatching(/E_NOT_FOUND.*float\.onnx/s) });
    const none = await runCli([...resume, '--teacher', '']);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching(/teacher was ".*" and is now ""/) });
    const changed = await runCli([...resume, '--teacher', join(folder, 'seven.onnx')]);
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain(`the recipe names ${digest}`);
    expect(changed.stderr).toContain('--teacher FILE');
    expect((await runCli([...resume, '--teacher', join(folder, 'moved.onnx')])).code).toBe(0);
    await rename(join(folder, 'moved.onnx'), join(folder, 'float.onnx'));
    const model = (of: string): Promise<Buffer> => readFile(join(folder, of, 'last', 'model.onnx'));
    expect((await model('stopped')).equals(await model('imitating'))).toBe(true);
    // Every picture comes twice, the second time among others.
    expect((await model('cached')).equals(await model('imitating'))).toBe(true);
  },
  SLOW,
);

test.skipIf(!native.ok)(
  'a teacher that is not there, knows other classes, or is not that of the recipe',
  async () => {
    const digest = ['--teacher-sha256', '0'.repeat(64)];
    const [absent, other, changed] = await Promise.all([
      runCli(['train', ...SMALL, '--teacher', join(folder, 'nobody.onnx'), '--out', join(folder, 'absent')]),
      runCli(['train', ...SMALL, '--teacher', join(folder, 'seven.onnx'), '--out', join(folder, 'other')]),
      runCli(['train', ...SMALL, '--teacher', join(folder, 'float.onnx'), ...digest, '--out', join(folder, 'changed')]),
    ]);
    expect(changed.code).toBe(1);
    expect(changed.stderr).toMatch(/^error\[E_FORMAT\].*the recipe names 0000/m);
    expect(absent.code).toBe(1);
    expect(absent.stderr).toMatch(/^error\[E_NOT_FOUND\] bnn train: /m);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain('the teacher gave 896 logits, the network has 1280');
  },
  SLOW,
);

test(
  'patience needs held-out pictures; adaste is for weights',
  async () => {
    const [patience, adaste] = await Promise.all([
      runCli(['train', '--patience', '3', '--out', join(folder, 'never')]),
      runCli(['train', '--estimator', 'adaste', ...SMALL, '--out', join(folder, 'never')]),
    ]);
    expect(patience.code).toBe(2);
    expect(patience.stderr).toContain('no pictures are held out to stop by');
    expect(adaste.code).toBe(2);
    expect(adaste.stderr).toContain('adaste is an estimator for weights');
  },
  SLOW,
);
