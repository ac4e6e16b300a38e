/** The WebGPU device of the tests: whatever is there, a software one (VK_ICD_FILENAMES) included; else tests skip with the reason. */

import { describe } from 'vitest';
import './swiftshader.ts';
import { loadWebgpu } from '../../../src/backends/webgpu/load.ts';

export const webgpu = await loadWebgpu();

export function describeWebgpu(name: string, body: () => void): void {
  // A software device takes seconds to translate a shader.
  describe.skipIf(!webgpu.ok)(webgpu.ok ? name : `${name} (skipped: ${webgpu.reason})`, { timeout: 300_000 }, body);
}
