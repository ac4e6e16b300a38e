/** Who listens to the commands that a backend is given, if anybody does. */

import type { StepNumbers } from '../step-recorder.ts';
import type { GpuBuffer } from './device.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

/** Numbers on the device that differ from step to step. */
export interface VaryingUniform {
  readonly buffer: GpuBuffer;
  readonly encode: (numbers: StepNumbers) => ArrayBuffer;
}

export interface CommandTap {
  /** By what they are computed from. */
  readonly varying: Map<string, VaryingUniform>;
  /** Of the next dispatch. */
  announce(multiplyAdds: number): void;
  /** Sends what was given so far, which the recording goes on after. */
  submit(): void;
}

const taps = new WeakMap<WebgpuBackend, CommandTap>();

export function tapOf(backend: WebgpuBackend): CommandTap | undefined {
  return taps.get(backend);
}

export function setTap(backend: WebgpuBackend, tap: CommandTap | null): void {
  if (tap === null) taps.delete(backend);
  else taps.set(backend, tap);
}
