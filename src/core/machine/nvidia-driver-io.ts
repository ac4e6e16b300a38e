/** Whether there is NVIDIA's driver. */

import { existsSync } from 'node:fs';

/** Of the kernel: on the machine itself, in a container, in Windows's Linux. */
export function hasNvidiaDriver(): boolean {
  return ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg'].some(existsSync);
}
