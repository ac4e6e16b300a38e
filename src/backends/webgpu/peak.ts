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
const MOST_ROUNDS = 2 ** 17;

/**
 * Gflop/s of float32 multiply-adds in registers. Each chain adds 1 to itself in every multiply-add, so that the sum of all says that
 * they were computed.
 */
export async function multiplyAddPeak(backend: WebgpuBackend): Promise<number> {
  for (let rounds = 1; ; rounds *= 4) {
    const begin = performance.now();
    const done = await multiplyAdds(backend, rounds);
    const ms = performance.now() - begin;
    if (done !== rounds * PER_ROUND) throw new Error(`internal: ${done} multiply-adds of ${rounds * PER_ROUND}`);
    if (ms >= LONG_MS || rounds >= MOST_ROUNDS) return (2 * done * THREADS * GROUPS) / ms / 1e6;
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
    for (let copies = 0; ; copies = copies === 0 ? 1 : 4 * copies) {
      const begin = performance.now();
      for (let i = 0; i < copies; i++) copy();
      read();
      await backend.getBufferData(bufferOf(backend, probe.dataId));
      const ms = performance.now() - begin;
      // The first time translates shaders.
      if (copies > 0 && (ms >= LONG_MS || copies >= MOST_COPIES)) return (2 * COPIED_BYTES * copies) / ms / 1e6;
    }
  } finally {
    for (const { dataId } of [given, copied, probe]) backend.disposeData(dataId);
  }
}
