/** The backend on a device that only counts (`fake-device.ts`), in place of one that computes; imported instead of `device.ts`. */

import { describe } from 'vitest';
import { loadWebgpu } from '../../../src/backends/webgpu/load.ts';
import { found } from '../../../src/core/found.ts';
import { FakeDevice, fakeAdapter } from './fake-device.ts';

export const device = new FakeDevice();

export const loaded = await loadWebgpu(() => Promise.resolve(found(fakeAdapter(device))));

export function describeFake(name: string, body: () => void): void {
  describe.skipIf(!loaded.ok)(loaded.ok ? name : `${name} (skipped: ${loaded.reason})`, { timeout: 120_000 }, body);
}
