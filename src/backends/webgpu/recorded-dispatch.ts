/** A run of a shader as it was given to the device. */

import type { BindGroupDescriptor, GpuBindGroup, GpuPass, GpuPipeline } from './device.ts';

export interface RecordedDispatch {
  readonly pipeline: GpuPipeline;
  readonly binding: BindGroupDescriptor;
  readonly group: GpuBindGroup;
  readonly groups: readonly [x: number, y: number, z: number];
  /** What it does. */
  readonly label: string;
  /** Which layer it is for. */
  readonly scope: string;
  /** Of floats, where there are many. */
  readonly multiplyAdds: number;
}

/** Of all that is bound. */
export function bytesOf({ binding }: RecordedDispatch): number {
  return binding.entries.reduce((sum, { resource }) => sum + resource.buffer.size, 0);
}

/** Multiply-adds, or four bytes each, that a device gets at once: on a small GPU a few tenths of a second, which its watchdog allows. */
export const MOST_WORK = 2 ** 34;

/** In parts of limited work; a device that is slow is not asked for seconds at once. */
export function splitByWork(dispatches: readonly RecordedDispatch[]): RecordedDispatch[][] {
  const parts: RecordedDispatch[][] = [[]];
  let work = 0;
  for (const dispatch of dispatches) {
    const own = dispatch.multiplyAdds + bytesOf(dispatch) / 4;
    if (work > 0 && work + own > MOST_WORK) {
      parts.push([]);
      work = 0;
    }
    parts.at(-1)?.push(dispatch);
    work += own;
  }
  return parts;
}

export function runDispatches(pass: GpuPass, dispatches: readonly RecordedDispatch[]): void {
  let current: GpuPipeline | undefined;
  for (const { pipeline, group, groups } of dispatches) {
    if (pipeline !== current) pass.setPipeline(pipeline);
    current = pipeline;
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...groups);
  }
  pass.end();
}
