/** BatchMatMul with any transposition and one shared or equal batch. */

import * as tf from '@tensorflow/tfjs-core';
import type { NativeBackend } from '../backend.ts';
import { type Attributes, floatInput, type Inputs, replaceKernel, result } from './kernel.ts';

function matmul(backend: NativeBackend, inputs: Inputs, attrs: Attributes): tf.TensorInfo | undefined {
  const a = floatInput(backend, inputs['a']);
  const b = floatInput(backend, inputs['b']);
  if (a === undefined || b === undefined || a.shape.length < 2 || b.shape.length < 2) return undefined;
  const transposeA = attrs['transposeA'] === true;
  const transposeB = attrs['transposeB'] === true;
  const [aRows = 0, aColumns = 0] = a.shape.slice(-2);
  const [bRows = 0, bColumns = 0] = b.shape.slice(-2);
  const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [n, bK] = transposeB ? [bRows, bColumns] : [bColumns, bRows];
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  const aCount = tf.util.sizeFromShape(aBatch);
  const bCount = tf.util.sizeFromShape(bBatch);
  const isSimple = aCount === 1 || bCount === 1 || tf.util.arraysEqual(aBatch, bBatch);
  if (k !== bK || !isSimple) return undefined;
  const batch = tf.backend_util.assertAndGetBroadcastShape(aBatch, bBatch);
  const sizes = Int32Array.of(aCount, bCount, m, n, k, Number(transposeA), Number(transposeB));
  return result(backend, [...batch, m, n], (c) => backend.addon.matmul(a.values, b.values, c, sizes));
}

export function registerMatmul(): void {
  replaceKernel(tf.BatchMatMul, matmul);
}
