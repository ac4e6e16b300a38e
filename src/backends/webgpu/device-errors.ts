/** Errors of the device arrive later than the call that caused them; the next reading of a tensor throws the first. */

import { BnnError } from '../../errors.ts';
import { isOutOfMemory } from '../out-of-memory.ts';
import { forgetUniforms } from './dispatch.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

export function reportDeviceErrors(backend: WebgpuBackend): void {
  let failure: Error | undefined;
  backend.device.addEventListener('uncapturederror', ({ error }) => {
    failure ??= errorOf(error);
  });
  backend.device.lost
    .then(({ reason, message }) => {
      if (reason !== 'destroyed') failure ??= new Error(`device lost: ${message}`);
    })
    .catch(() => {});
  const read = backend.getBufferData.bind(backend);
  backend.getBufferData = async (buffer) => {
    try {
      const data = await read(buffer);
      if (failure === undefined) return data;
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
    const cause = failure;
    // What was given to the device after the failed command fails too, and belongs to this failure.
    await backend.device.queue.onSubmittedWorkDone().catch(() => {});
    failure = undefined;
    // Among them are those that the device could not give: they have no memory, and every use of them is an error.
    backend.bufferManager.abandon();
    forgetUniforms(backend);
    const isMemory = isOutOfMemory(cause);
    throw new BnnError('E_BACKEND', `the GPU reported an error: ${cause?.message.split('\n')[0] ?? 'unknown'}`, {
      cause,
      hint: isMemory ? 'use a smaller --batch-size' : hintOf(cause),
    });
  };
}

/** Of the device's errors only the class says what kind they are; they are no `Error`. */
function errorOf(error: { readonly message: string }): Error {
  const isMemory = error.constructor.name === 'GPUOutOfMemoryError' && !isOutOfMemory(new Error(error.message));
  return new Error(`${isMemory ? 'out of memory: ' : ''}${error.message}`);
}

function hintOf(cause: Error | undefined): string {
  return cause?.message.startsWith('device lost') === true
    ? 'the driver stops what computes for long; use a smaller --batch-size, or --backend native'
    : 'try --backend native';
}
