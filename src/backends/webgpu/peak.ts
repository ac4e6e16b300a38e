/** What a device can do at most. */

import { performance } from 'node:perf_hooks';
import { bufferOf, dispatch, FLAT_HEAD, flatGroups } from './dispatch.ts';
import { allocate } from './kernels/kernel.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

const THREADS = 256;
/** Together as many threads as the largest devices hold at once. */
const GROUPS = 1024;
const CHAINS = 4;
const UNROLLED = 8;
/** Multiply-adds of a thread in a round: each chain is a vector of four. */
const PER_ROUND = CHAINS * 4 * UNROLLED;
/** Beyond this the time between giving a command and its end counts little. */
const LONG_MS = 40;
const TRIES = 3;
const MOST_ROUNDS = 2 ** 17;

/**
 * Gflop/s of float32 multiply-adds in registers. Each chain adds 1 to itself in every multiply-add, so that the sum of all says that
 * they were computed.
 */
export async function multiplyAddPeak(backend: WebgpuBackend): Promise<number> {
  const { amount, ms } = await fastest(MOST_ROUNDS, async (rounds) => {
    const done = await multiplyAdds(backend, rounds);
    if (done !== rounds * PER_ROUND) throw new Error(`internal: ${done} multiply-adds of ${rounds * PER_ROUND}`);
  });
  return (2 * amount * PER_ROUND * THREADS * GROUPS) / ms / 1e6;
}

/**
 * The fastest of a few runs of an amount that takes long. The first run translates shaders, and one run alone may have waited for other
 * work on the machine.
 */
async function fastest(most: number, run: (amount: number) => Promise<void>): Promise<{ amount: number; ms: number }> {
  await run(1);
  for (let amount = 1; ; amount *= 4) {
    let ms = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES; i++) {
      const begin = performance.now();
      await run(amount);
      ms = Math.min(ms, performance.now() - begin);
    }
    if (ms >= LONG_MS || amount >= most) return { amount, ms };
  }
}

/** How many the first thread computed. */
async function multiplyAdds(backend: WebgpuBackend, rounds: number): Promise<number> {
  const sums = allocate(backend, [GROUPS]);
  const chains = Array.from({ length: CHAINS }, (_, i) => `chain${i}`);
  const round = chains.map((chain) => `    ${chain} = fma(${chain}, vec4<f32>(p.one), vec4<f32>(p.one));`).join('\n');
  dispatch(backend, {
    label: 'peak',
    code: `
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
${chains.map((chain) => `  var ${chain} = vec4<f32>();`).join('\n')}
  for (var i = 0u; i < p.rounds; i++) {
${Array.from({ length: UNROLLED }, () => round).join('\n')}
  }
  let all = ${chains.join(' + ')};
  if (lid == 0u) { sums[wid.x] = all.x + all.y + all.z + all.w; }
}`,
    inputs: {},
    outputs: { sums },
    numbers: { rounds: ['u32', rounds], one: ['f32', 1] },
    groups: [GROUPS, 1, 1],
  });
  const [first = Number.NaN] = new Float32Array(await backend.getBufferData(bufferOf(backend, sums.dataId)));
  backend.disposeData(sums.dataId);
  return first;
}

/** Of each of two buffers: more than caches hold. */
const COPIED_BYTES = 2 ** 26;
const MOST_COPIES = 2 ** 12;

/** GB/s that the device reads and writes together while it copies. */
export async function bandwidthPeak(backend: WebgpuBackend): Promise<number> {
  const [given, copied] = [allocate(backend, [COPIED_BYTES / 4]), allocate(backend, [COPIED_BYTES / 4])];
  const probe = allocate(backend, [1]);
  const vectors = COPIED_BYTES / 16;
  const copy = () =>
    dispatch(backend, {
      label: 'copy',
      code: `${FLAT_HEAD}
  if (i < p.vectors) { copied[i] = given[i] + vec4<f32>(1.0); }
}`,
      inputs: { given },
      outputs: { copied },
      elements: { given: 'vec4<f32>', copied: 'vec4<f32>' },
      numbers: { vectors: ['u32', vectors] },
      groups: flatGroups(vectors),
    });
  const read = () =>
    dispatch(backend, {
      label: 'probe',
      code: `${FLAT_HEAD} if (i == 0u) { probe[0] = copied[0]; } }`,
      inputs: { copied },
      outputs: { probe },
      groups: [1, 1, 1],
    });
  try {
    const { amount, ms } = await fastest(MOST_COPIES, async (copies) => {
      for (let i = 0; i < copies; i++) copy();
      read();
      await backend.getBufferData(bufferOf(backend, probe.dataId));
    });
    return (2 * COPIED_BYTES * amount) / ms / 1e6;
  } finally {
    for (const { dataId } of [given, copied, probe]) backend.disposeData(dataId);
  }
}
