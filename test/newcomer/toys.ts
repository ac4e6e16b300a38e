/** One of each kind of thing that can be added: all that somebody writes for it, and nothing else. */

import type { Change } from './tree-copy.ts';

export interface Toy {
  /** Where CONTRIBUTING.md says how it is added. */
  readonly chapter: string;
  readonly changes: readonly Change[];
}

/** s(z) = 1/w for |z| ≤ w. */
const ESTIMATOR: Toy = {
  chapter: 'an estimator.',
  changes: [
    {
      file: 'src/estimators/toy.ts',
      text: `/** s(z) = 1/w inside ± w: a wide straight-through estimator, scaled. */

import type { EstimatorSchedule } from './estimator.ts';
import { always, slopeEstimator } from './from-slope.ts';

export function toySchedule(width: number): EstimatorSchedule {
  return always(slopeEstimator({ name: 'toy', slope: () => 1 / width, limit: width }));
}
`,
    },
    {
      file: 'src/estimators/table.ts',
      insert: [
        ['\nexport interface EstimatorRow', "import { toySchedule } from './toy.ts';\n"],
        [
          '] as const;\n\nexport type EstimatorName',
          `  row({
    name: 'toy',
    roles: BOTH,
    fields: { toyWidth: number(1, 0.01, 100, 'toy: no gradient beyond this') },
    create: ({ toyWidth }) => toySchedule(toyWidth),
  }),
`,
        ],
      ],
    },
    {
      file: 'test/golden/estimators.json',
      insert: [['"approx_sign"', `"toy_w0.5": ${JSON.stringify(golden(0.5))}, `]],
    },
  ],
};

/** At the points of test/golden/estimators.json. */
function golden(width: number) {
  const tenths = Array.from({ length: 41 }, (_, i) => Math.round(i - 20) / 10);
  const z = [...tenths, ...[1e-6, 0.05, 0.999, 1.001, 1.25].flatMap((x) => [x, -x])];
  const inside = (x: number) => Math.abs(x) <= width;
  return {
    estimator: 'toy',
    params: { toyWidth: width },
    f: z.map((x) => (inside(x) ? x / width : Math.sign(x))),
    grad: z.map((x) => (inside(x) ? 1 / width : 0)),
  };
}

const OPERATOR: Toy = {
  chapter: 'an operator to the trainer.',
  changes: [
    {
      file: 'src/training/steps/atan.ts',
      text: `/** The inverse of the tangent; dx = dy / (1 + x²). */

import * as tf from '@tensorflow/tfjs-core';
import type { StepBuilder } from './step.ts';

export const atan: StepBuilder = (node, context) => {
  const x = node.requiredInput(0);
  return {
    inputs: [x],
    output: node.output,
    layout: context.layout(x),
    readsInputs: [0],
    readsOutput: false,
    forward: ([x]) => ({ output: tf.atan(x as tf.Tensor) }),
    backward: ({ dy, inputs: [x] }) => [tf.tidy(() => tf.div(dy, tf.add(tf.square(x as tf.Tensor), 1)))],
  };
};
`,
    },
    {
      file: 'src/training/steps/table.ts',
      insert: [
        ['import { fuseNorm }', "import { atan } from './atan.ts';\n"],
        ["  ['AveragePool', averagePool],\n", "  ['Atan', atan],\n"],
      ],
    },
    {
      file: 'src/operators/operator-facts.ts',
      insert: [["  ['Cast', one(", "  ['Atan', inexact((x = NAN) => Math.atan(x))],\n"]],
    },
    {
      file: 'test/training/program/operator-cases.ts',
      insert: [['  MaxPool: (', "  'the toy Atan': ({ x, op }) => op('Atan', [x]),\n"]],
    },
  ],
};

const DATASET: Toy = {
  chapter: 'a data set.',
  changes: [
    {
      file: 'src/data/sets/toy.ts',
      text: `/** Stripes, lying or standing. */

import { Rng } from '../../core/numbers/rng.ts';
import { type Dataset, fingerprintOf, type LoadOptions, type MemorySplit } from '../dataset.ts';
import { createSharedBytes, createSharedInts } from '../shared-memory.ts';
import { limitOf, refuseImageSize } from '../splits/limits.ts';

const SIDE = 12;
const FACTS = { height: SIDE, width: SIDE, channels: 1, mean: [0.5], std: [0.25] };

export async function loadToy(options: LoadOptions): Promise<Dataset> {
  refuseImageSize('toy', SIDE, options.imageSize);
  const train = draw(Math.min(400, limitOf('limitTrain', options.limitTrain)), 1);
  const test = draw(Math.min(100, limitOf('limitTest', options.limitTest)), 2);
  const classes = ['lying', 'standing'];
  return { name: 'toy', classes, ...FACTS, train, test, fingerprint: fingerprintOf([train, test]), root: 'toy' };
}

function draw(count: number, seed: number): MemorySplit {
  const random = new Rng(seed);
  const labels = createSharedInts(count);
  for (let i = 0; i < count; i++) labels[i] = random.below(2);
  const images = createSharedBytes(count * SIDE * SIDE);
  for (let i = 0; i < images.length; i++) {
    const [y, x] = [Math.floor(i / SIDE) % SIDE, i % SIDE];
    const isBright = (labels[Math.floor(i / (SIDE * SIDE))] === 0 ? y : x) % 4 < 2;
    images[i] = (isBright ? 150 : 50) + random.below(100);
  }
  return { kind: 'memory', count, ...FACTS, images, labels };
}
`,
    },
    {
      file: 'src/data/load-dataset.ts',
      insert: [
        ['import { loadWebdataset }', "import { loadToy } from './sets/toy.ts';\n"],
        ['];\n\n/** Whether the pictures', "  { name: 'toy', load: loadToy },\n"],
      ],
    },
    {
      file: 'test/data/sets/toy.test.ts',
      text: `import { expect, it } from 'vitest';
import { loadDataset } from '../../../src/data/load-dataset.ts';

it('the toy has stripes of both kinds', async () => {
  const { train, test, classes } = await loadDataset('toy', { limitTest: 10 });
  expect([train.count, test.count, classes.length]).toEqual([400, 10, 2]);
  expect(new Set(train.labels)).toEqual(new Set([0, 1]));
});
`,
    },
  ],
};

const BACKEND: Toy = {
  chapter: 'a backend',
  changes: [
    {
      file: 'src/backends/toy/open.ts',
      text: `/** tfjs's own CPU backend under another name. */

import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { type Found, found } from '../../core/found.ts';
import { noKernels } from '../../kernels/contract.ts';
import type { LoadedBackend } from '../backend.ts';
import { registerCpuBackend } from '../cpu/register.ts';
import { engineMemory } from '../engine-memory.ts';

export function openToy(): Found<LoadedBackend> {
  if (tf.findBackendFactory('toy') === null) {
    registerCpuBackend();
    tf.copyRegisteredKernels('cpu', 'toy');
    tf.registerBackend('toy', () => Object.assign(new MathBackendCPU(), { firstUse: false }), 0);
  }
  return found({
    ...{ isGpu: false, device: 'a toy', detail: 'a toy', kernels: noKernels('it is a toy') },
    start: () => ({ description: 'a toy', threads: 1, isa: null, memory: engineMemory }),
  });
}
`,
    },
    {
      file: 'src/backends/backends.ts',
      insert: [
        [
          '] as const satisfies readonly Backend[];',
          `  {
    ...{ name: 'toy', title: 'toy', isAutomatic: false },
    capabilities: {
      ...{ gpu: false, threads: false, kernelChoice: false },
      ...{ explicitPadding: true, synchronous: true, deviceMemory: false, keepsAll: false, bf16: false },
    },
    load: async () => (await import('./toy/open.ts')).openToy(),
  },
`,
        ],
      ],
    },
  ],
};

const ENGINE: Toy = {
  chapter: 'an engine',
  changes: [
    {
      file: 'src/inference/toy/open.ts',
      text: `/** Answers every question alike. */

import type { CountedSession } from '../engine.ts';
import { createWasmSession } from '../wasm-session.ts';

export async function openToy(...args: Parameters<typeof createWasmSession>): Promise<CountedSession> {
  const session = await createWasmSession(...args);
  return {
    ...session,
    runtime: 'a toy',
    threads: 1,
    run: async (x, shape) => {
      const { data, ...result } = await session.run(x, shape);
      return { ...result, data: data.map((_, i) => i) };
    },
  };
}
`,
    },
    {
      file: 'src/inference/engines.ts',
      insert: [
        ['import { createWasmSession }', "import { openToy } from './toy/open.ts';\n"],
        ['];\ntype OwnEngine', ", row({ name: 'toy', title: 'a toy', open: openToy })"],
      ],
    },
  ],
};

export const TOYS = [ESTIMATOR, OPERATOR, DATASET, BACKEND, ENGINE];

export const INSTRUCTION_SET: Toy = {
  chapter: 'an instruction set',
  changes: [
    {
      file: 'native/simd/isa.h',
      insert: [
        ['  kSimd128 = 1 << 5,', '  kToy = 1 << 20,\n'],
        ['kPopcnt | kAvx2', 'kToy | '],
        ['  X(avx512, kAvx2', '  X(toy, kAvx2 | kToy)       \\\n'],
        ['X(avx2, Row, name) X(scalar, Row, name)\n#define BNN_BINARY_ISAS', 'X(toy, Row, name) '],
      ],
    },
    {
      file: 'native/simd/isa.cc',
      insert: [['  if (!saves_avx512(state)) return flags;', '  flags |= kToy;\n']],
    },
    {
      file: 'tools/native-plan.mjs',
      insert: [['    avx512: {', "    toy: { flags: ['-mavx2', '-mfma', '-mf16c', '-mpopcnt'], floats: 8 },\n"]],
    },
    {
      file: 'docs/native-backend.md',
      insert: [['avx2|neonbf16|neon|scalar', 'toy|']],
    },
  ],
};
