/** Runs recorded commands each in a pass of its own, between two timestamps. */

import type { GpuBuffer } from './device.ts';
import type { RecordedDispatch } from './recorded-dispatch.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

/** GPUBufferUsage.QUERY_RESOLVE | COPY_SRC. */
const RESOLVE_USAGE = 0x200 | 0x04;
/** Two for each command; WebGPU allows 4096 in a set. */
const MOST_IN_SET = 2048;

export function canTime({ device }: WebgpuBackend): boolean {
  return device.features.has('timestamp-query');
}

/** Milliseconds of each. */
export async function timeDispatches(
  backend: WebgpuBackend,
  dispatches: readonly RecordedDispatch[],
): Promise<number[]> {
  const times: number[] = [];
  for (let from = 0; from < dispatches.length; from += MOST_IN_SET) {
    times.push(...(await timeSome(backend, dispatches.slice(from, from + MOST_IN_SET))));
  }
  return times;
}

async function timeSome(backend: WebgpuBackend, dispatches: readonly RecordedDispatch[]): Promise<number[]> {
  const { device } = backend;
  const count = 2 * dispatches.length;
  const querySet = device.createQuerySet({ type: 'timestamp', count });
  const resolved: GpuBuffer = device.createBuffer({ size: 8 * count, usage: RESOLVE_USAGE });
  const encoder = device.createCommandEncoder();
  for (const [i, { pipeline, group, groups }] of dispatches.entries()) {
    const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
    const pass = encoder.beginComputePass({ timestampWrites });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...groups);
    pass.end();
  }
  encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
  // Reading submits.
  backend.commandEncoder = encoder;
  const nanoseconds = new BigUint64Array(await backend.getBufferData(resolved));
  querySet.destroy();
  resolved.destroy();
  return dispatches.map((_, i) => Number((nanoseconds[2 * i + 1] ?? 0n) - (nanoseconds[2 * i] ?? 0n)) / 1e6);
}
