/** Whether our kernels for binary layers work here, in onnxruntime and in our own engine, and which, for `bnn doctor`. */

import type { Finding } from '../core/found.ts';
import { BnnError } from '../errors.ts';
import { kernelRow, kernelRows } from './bench-case.ts';
import { packedConv, parseConvLayer } from './bench-conv-models.ts';
import { createNativeSession } from './native-session.ts';
import { createSession } from './session.ts';
import { createWasmSession } from './wasm-session.ts';

const TOLERANCE = 1e-4;

/** Runs one small layer with our kernels and in stock onnxruntime, and compares. */
export async function probeOps(): Promise<Finding> {
  const name = 'operator library';
  try {
    const difference = await compareSmallLayer();
    if (!(difference <= TOLERANCE)) {
      const detail = `a layer comes out other than in stock onnxruntime, by ${difference}`;
      return { name, works: false, detail, hint: 'use --ops off, and please report it' };
    }
    const rows = kernelRows();
    const chosen = kernelRow(process.env['BNN_KERNEL']);
    return { name, works: true, detail: `kernels ${chosen}, available ${rows.join(', ')} (BNN_KERNEL forces one)` };
  } catch (error) {
    if (!(error instanceof BnnError)) throw error;
    return { name, works: false, detail: error.message, hint: error.hint };
  }
}

/** Runs the same layer in our own engine, which needs neither onnxruntime nor a compiler. */
export async function probeEngine(): Promise<Finding> {
  const name = 'our engine';
  try {
    const { bytes, feeds } = smallLayer();
    const session = await createWasmSession(bytes);
    await session.run(feeds.data, feeds.shape);
    await session.dispose();
    return { name, works: true, detail: 'packed files in WebAssembly, without onnxruntime (--engine wasm)' };
  } catch (error) {
    if (!(error instanceof BnnError)) throw error;
    return { name, works: false, detail: error.message, hint: error.hint ?? 'update Node' };
  }
}

function smallLayer() {
  const { bytes, feeds } = packedConv(parseConvLayer('70-9@7', 1));
  const x = feeds['x'];
  if (!(x?.data instanceof Float32Array)) throw new Error('internal: no data');
  return { bytes, feeds: { data: x.data, shape: x.shape } };
}

/** The largest difference of an output. */
async function compareSmallLayer(): Promise<number> {
  const { bytes, feeds: x } = smallLayer();
  const results: Float32Array[] = [];
  for (const create of [createSession, createNativeSession]) {
    const session = await create(bytes, { threads: 1, ops: true });
    try {
      results.push((await session.run(x.data, x.shape)).data);
    } finally {
      await session.dispose();
    }
  }
  const [expected = new Float32Array(), actual = new Float32Array()] = results;
  return expected.reduce((largest, y, i) => Math.max(largest, Math.abs(y - (actual[i] ?? Number.NaN))), 0);
}
