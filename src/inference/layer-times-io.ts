/** How long each node of a model takes, from onnxruntime's profile. */

import { requireFound } from '../core/found.ts';
import { median } from '../core/numbers/quantile.ts';
import { elementCount } from '../core/tensors/shape.ts';
import { BnnError } from '../errors.ts';
import { findOpsLibrary, loadOrtAddon } from './native-addon.ts';
import { createNativeSession } from './native-session.ts';
import { loadOnnxruntime } from './onnxruntime.ts';
import { ProfileFolder } from './profile-folder-io.ts';

export interface LayerTimes {
  /** Median microseconds of the nodes by name, as onnxruntime calls them after its own rewriting. */
  readonly microseconds: ReadonlyMap<string, number>;
  /** Whether our kernels ran the binary layers. */
  readonly hasOps: boolean;
  readonly runs: number;
}

const WARM_UP = 5;
const RUNS = 30;

/**
 * Runs a model of one float32 input on one thread.
 *
 * @param shape  of the input.
 * @throws {BnnError} as `createNativeSession`; what onnxruntime throws for a model that it does not run.
 */
export async function measureLayers(model: Uint8Array, shape: readonly number[]): Promise<LayerTimes> {
  const profile = new ProfileFolder();
  try {
    const x = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i));
    const hasOps = loadOrtAddon().ok && findOpsLibrary().ok;
    await (hasOps ? runNative : runStock)(model, x, shape, profile.prefix);
    return { microseconds: parseTimes(profile.takeText()), hasOps, runs: RUNS };
  } finally {
    profile.remove();
  }
}

type Run = (model: Uint8Array, x: Float32Array, shape: readonly number[], prefix: string) => Promise<void>;

const runNative: Run = async (model, x, shape, profilePrefix) => {
  const session = await createNativeSession(model, { ops: true, threads: 1, profilePrefix });
  try {
    for (let i = 0; i < WARM_UP + RUNS; i++) await session.run(x, shape);
    session.endProfiling();
  } finally {
    await session.dispose();
  }
};

const runStock: Run = async (model, x, shape, profileFilePrefix) => {
  const { api: ort, isNative, title } = requireFound(loadOnnxruntime());
  if (!isNative)
    throw new BnnError('E_UNSUPPORTED', `${title} does not tell the times of its nodes`, {
      hint: 'bnn setup onnxruntime',
    });
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4, enableProfiling: true, profileFilePrefix } as const;
  const session = await ort.InferenceSession.create(model, options);
  try {
    const [input = ''] = session.inputNames;
    const feeds = { [input]: new ort.Tensor('float32', x, [...shape]) };
    for (let i = 0; i < WARM_UP + RUNS; i++) await session.run(feeds);
    session.endProfiling();
  } finally {
    await session.release();
  }
};

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  /** Microseconds. */
  readonly dur?: number;
}

const KERNEL = '_kernel_time';

/** @param profile  text of the JSON file that onnxruntime writes. */
export function parseTimes(profile: string): Map<string, number> {
  const times = new Map<string, number[]>();
  for (const { cat, name = '', dur = 0 } of JSON.parse(profile) as ProfileEvent[]) {
    if (cat !== 'Node' || !name.endsWith(KERNEL)) continue;
    const node = name.slice(0, -KERNEL.length);
    const found = times.get(node);
    if (found === undefined) times.set(node, [dur]);
    else found.push(dur);
  }
  // A node that runs several times a run, inside a loop, would need its sum; packed models have no loops.
  return new Map(Array.from(times, ([node, all]) => [node, median(all.slice(Math.min(WARM_UP, all.length - 1)))]));
}
