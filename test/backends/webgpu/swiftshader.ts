/** Imported for its effect: where no other Vulkan driver is named, tests may use the one that computes on the CPU. */

import { existsSync } from 'node:fs';

/** Of Debian's package chromium. */
const MANIFEST = '/usr/lib/chromium/vk_swiftshader_icd.json';
/** Where NVIDIA's driver is, tests run on its GPU. */
const NVIDIA = '/dev/nvidiactl';
if (existsSync(MANIFEST) && !existsSync(NVIDIA)) process.env['VK_ICD_FILENAMES'] ??= MANIFEST;
