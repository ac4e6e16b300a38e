import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Rng } from '../../src/core/numbers/rng.ts';
import { writeModel } from '../../src/onnx/model-io.ts';
import { openTeacher } from '../../src/tasks/open-teacher.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

it('a teacher of a fixed batch says of any number of pictures what it says of each', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bnn-open-teacher-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const model = buildModel('binarynet-mini-fp', { seed: 5, imageSize: 28, channels: 3 });
  const [free, fixed] = [join(folder, 'free.onnx'), join(folder, 'fixed.onnx')];
  await writeModel(free, model);
  model.graph.inputs[0]!.shape = [3, 3, 28, 28];
  model.graph.outputs[0]!.shape = [3, 10];
  await writeModel(fixed, model);

  const size = { height: 28, width: 28, channels: 3 };
  const rng = new Rng(1);
  const images = Float32Array.from({ length: 7 * 28 * 28 * 3 }, () => rng.normal());
  const one = await openTeacher({ teacher: free, threads: 1 });
  const expected: number[] = [];
  for (let n = 0; n < 7; n++) {
    const picture = images.slice(n * 28 * 28 * 3, (n + 1) * 28 * 28 * 3);
    expected.push(...(await one.teacher!(picture, 1, size)));
  }
  await one.close();
  const all = await openTeacher({ teacher: fixed, threads: 1 });
  const found = await all.teacher!(images, 7, size);
  await all.close();
  expect(found).toHaveLength(70);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
});
