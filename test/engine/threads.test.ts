/** The engine on several threads gives the bits of one, and leaves nothing behind. */

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../src/compiler/lower-to-packed.ts';
import type { Tensor } from '../../src/core/tensors/tensor.ts';
import { EngineSession } from '../../src/engine/engine-session.ts';
import type { Team } from '../../src/engine/engine-threads.ts';
import { loadEngine, loadEngineModule } from '../../src/engine/load-engine-io.ts';
import type { Model } from '../../src/graph/model.ts';
import { openSession } from '../../src/inference/open-session.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { LAYER_VARIANTS } from '../../src/operators/variants.ts';
import { buildModel } from '../../src/zoo/zoo.ts';
import { caught } from '../graph/caught.ts';
import { CASES, createModel, INPUT_SHAPE, random } from '../training/program/operator-cases.ts';
import { layerModel, REFUSED, runAll } from './layer-models.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function createSession(model: Model, threads: number): Promise<EngineSession> {
  const { module, team } = await loadEngine(threads);
  return await EngineSession.create(module, encodeModel(model), { team });
}

/** Digests of the outputs of several runs on so many threads. */
async function outputsOn(threads: number, model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<unknown[]> {
  const session = await createSession(model, threads);
  expect([session.threads, session.threadProblem]).toEqual([threads, undefined]);
  const runs = [1, 2, 3].map(() => runAll(session, feeds));
  await session.dispose();
  return runs.map((outputs) =>
    Object.entries(outputs).map(([name, { data, shape }]) => [
      name,
      shape,
      createHash('sha256').update(data).digest('hex'),
    ]),
  );
}

async function expectSameBits(
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  counts: readonly number[] = [1, 2, 3],
): Promise<void> {
  const [alone = [], ...others] = await Promise.all(counts.map((threads) => outputsOn(threads, model, feeds)));
  expect(alone[0]).toBeDefined();
  for (const run of [...alone, ...others.flat()]) expect(run).toEqual(alone[0]);
}

describe.each([
  ['binarynet-mini', 1, 28],
  ['resnet20', 3, 32],
  ['resnet20-react', 3, 32],
  ['resnet20-1w32a', 3, 32],
  ['resnet8-bireal', 3, 48],
])('%s', (name, channels, imageSize) => {
  it('gives the same bits on any number of threads', async () => {
    const { model } = lowerToPacked(buildModel(name, { classes: 7, channels, imageSize, seed: 3 }));
    await expectSameBits(model, { input: random(2, 5, channels, imageSize, imageSize) });
  });
});

describe.each([...LAYER_VARIANTS])('bnn.%s', (...layer) => {
  it('gives the same bits on any number of threads', async () => {
    const { model, feeds } = layerModel(layer, { outputs: 60, dense: [300, 137], conv: [4, 41, 40] });
    await expectSameBits(model, feeds);
  });
});

describe.each(Object.entries(CASES).filter(([name]) => !REFUSED.includes(name)))('%s', (_, build) => {
  it('gives the same bits on any number of threads', async () => {
    await expectSameBits(createModel(build), { x: random(4, ...INPUT_SHAPE) }, [1, 3]);
  });
});

function smallNet(): Model {
  return lowerToPacked(buildModel('binarynet-mini', { classes: 5, channels: 1, imageSize: 28, seed: 1 })).model;
}

/** What `team` is for two threads, but for some of it. */
async function createWith(change: Partial<Team>, model = smallNet()): Promise<EngineSession> {
  const { module, team } = await loadEngine(2);
  return await EngineSession.create(module, encodeModel(model), { team: { ...team!, ...change } });
}

describe('threads that do not work', () => {
  const x = random(1, 4, 1, 28, 28).data as Float32Array;
  const end = () => Promise.resolve();
  const starts: readonly (readonly [string, Team['start']])[] = [
    ['cannot begin', () => ({ begun: Promise.reject(new Error('nobody is there')), end })],
    [
      'are refused',
      () => {
        throw new Error('nobody is there');
      },
    ],
  ];
  it.each(starts)('that %s are done without, and told', async (_, start) => {
    const session = await createWith({ start });
    expect([session.threads, session.threadProblem]).toEqual([1, 'nobody is there']);
    const alone = await createSession(smallNet(), 1);
    expect(session.run(x, [4, 1, 28, 28])).toEqual(alone.run(x, [4, 1, 28, 28]));
    await session.dispose();
  });

  it('run out of memory with the caller, who says so', async () => {
    const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: new (sizes: object) => Team['memory'] } })
      .WebAssembly;
    const { model } = lowerToPacked(buildModel('resnet20', { classes: 7, seed: 3 }));
    const outcomes: string[] = [];
    for (let pages = 40; pages < 140; pages += 6) {
      const memory = new Memory({ initial: 16, maximum: pages, shared: true });
      let session: EngineSession | undefined;
      try {
        session = await createWith({ memory }, model);
        session.run(random(2, 16, 3, 32, 32).data as Float32Array, [16, 3, 32, 32]);
        outcomes.push('runs');
      } catch (error) {
        expect(error).toMatchObject({ code: 'E_BACKEND' });
        outcomes.push('has no memory');
      }
      await session?.dispose();
    }
    expect(new Set(outcomes)).toEqual(new Set(['has no memory', 'runs']));
  });
});

it('counts as many as asked for', async () => {
  const session = await openSession(encodeModel(smallNet()), { engine: 'wasm', threads: 3 });
  expect([session.engine, session.threads]).toEqual(['wasm', 3]);
  await session.dispose();
  await expect(openSession(encodeModel(smallNet()), { engine: 'wasm', threads: 65 })).rejects.toMatchObject({
    code: 'E_USAGE',
    message: 'threads is 65, expected an integer from 0 to 64',
  });
  await expect(openSession(encodeModel(smallNet()), { engine: 'wasm', threads: 1.5 })).rejects.toMatchObject({
    code: 'E_USAGE',
  });
});

it('a session of one module without threads and sessions with them live side by side', async () => {
  const x = random(1, 4, 1, 28, 28).data as Float32Array;
  const sessions = await Promise.all([1, 3, 2].map((threads) => createSession(smallNet(), threads)));
  const [expected, ...others] = sessions.map((session) => session.run(x, [4, 1, 28, 28]));
  for (const found of others) expect(found).toEqual(expected);
  await sessions[1]!.dispose();
  expect(caught(() => sessions[1]!.run(x, [4, 1, 28, 28])).code).toBe('E_BACKEND');
  expect(sessions[2]!.run(x, [4, 1, 28, 28])).toEqual(expected);
  for (const session of sessions) await session.dispose();
  expect(await loadEngineModule()).toBe(await loadEngineModule());
});

describe('a process', () => {
  let folder: string;
  let begin: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bnn-threads-'));
    writeFileSync(join(folder, 'model.onnx'), encodeModel(smallNet()));
    begin = `
      const { openSession } = await import(${JSON.stringify(`${ROOT}src/inference/open-session.ts`)});
      const session = await openSession(${JSON.stringify(join(folder, 'model.onnx'))}, { engine: 'wasm', threads: 3 });
      const run = () => session.run(new Float32Array(8 * 784), [8, 1, 28, 28]);
      await run();
      console.log('threads', session.threads);`;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const argumentsFor = (program: string): string[] => ['--import', 'tsx', '--input-type=module', '-e', begin + program];

  it.each([
    ['ends by itself when it has disposed of its session', 'await session.dispose();', 0],
    ['ends by itself when it has not', '', 0],
    [
      'ends when it says so',
      'setTimeout(() => process.exit(7), 50); for (;;) { await run(); await new Promise(setImmediate); }',
      7,
    ],
  ])(
    '%s',
    (_, program, code) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, argumentsFor(program), {
        cwd: ROOT,
        encoding: 'utf8',
      });
      expect([stdout, stderr, status]).toEqual(['threads 3\n', '', code]);
    },
    60_000,
  );

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'that is ended by %s in the middle of a run ends',
    async (signal) => {
      const child = spawn(process.execPath, argumentsFor('for (;;) await run();'), { cwd: ROOT });
      const exit = once(child, 'exit');
      await once(child.stdout, 'data');
      child.kill(signal);
      expect(await exit).toEqual([null, signal]);
    },
    60_000,
  );
});
