/** Whether the compiled parts are there; the text says why not, for the names of skipped tests. */

import { findOpsLibrary, loadOrtAddon } from '../../src/inference/native-addon.ts';

const addon = loadOrtAddon();
const ops = findOpsLibrary();

export const missingAddon = addon.ok ? undefined : addon.reason;
export const missingOps = ops.ok ? undefined : ops.reason;
