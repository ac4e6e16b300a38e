import { expect, it } from 'vitest';
import { lackOf } from '../../src/backends/webgpu/load.ts';

it('a GPU that binds fewer buffers than the kernels need is not used', () => {
  expect(lackOf({ maxStorageBuffersPerShaderStage: 8 })).toBe(
    'the GPU binds 8 buffers to a shader, the kernels need 10',
  );
  expect(lackOf({ maxStorageBuffersPerShaderStage: 10 })).toBeNull();
  expect(lackOf({})).toBeNull();
});
