/** The WebGPU device of the tests: whatever is there, a software one (VK_ICD_FILENAMES) included; else tests skip with the reason. */

import { existsSync } from 'node:fs';
import { describe } from 'vitest';
import { loadWebgpu } from '../../../src/backends/webgpu/load.ts';

/** Debian's package chromium brings a Vulkan driver that computes on the CPU. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (existsSync(SWIFTSHADER)) process.env['VK_ICD_FILENAMES'] ??= SWIFTSHADER;

export const webgpu = await loadWebgpu();

export function describeWebgpu(name: string, body: () => void): void {
  // A software device takes seconds to translate a shader.
  describe.skipIf(!webgpu.ok)(webgpu.ok ? name : `${name} (skipped: ${webgpu.reason})`, { timeout: 120_000 }, body);
}
