/** What a device can do at most. */

import { performance } from 'node:perf_hooks';
import { bufferOf, dispatch } from './dispatch.ts';
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
