/** What a pipeline does, in words: WebGPU does not tell the label that it was given. */

import type { GpuDevice, GpuPipeline } from './device.ts';

const labels = new WeakMap<GpuPipeline, string>();

/** Remembers labels of pipelines of tfjs's kernels and of ours. */
export function rememberLabels(device: GpuDevice): void {
  const create = device.createComputePipeline.bind(device);
  device.createComputePipeline = (descriptor) => {
    const pipeline = create(descriptor);
    // tfjs calls its own by their classes.
    labels.set(pipeline, `tfjs: ${descriptor.label ?? ''}`.replace(/^tfjs: (?=[a-z])/, '').replace(/Program$/, ''));
    return pipeline;
  };
}

export function labelOf(pipeline: GpuPipeline): string {
  return labels.get(pipeline) ?? '';
}
