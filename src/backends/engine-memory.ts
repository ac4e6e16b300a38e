/** What tfjs itself counts, for backends that do not count. */

import * as tf from '@tensorflow/tfjs-core';
import type { BackendMemory } from './backend.ts';

export function engineMemory(): BackendMemory {
  const { numBytes } = tf.memory();
  return { bytesInUse: numBytes, peakBytes: numBytes };
}
