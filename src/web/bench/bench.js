/** What `bnn-bench web` runs inside the browser: models in our runtime and in onnxruntime-web, one slice of runs at a time. */

import { Sampler } from './sampler.js';

/** Each makes a function that runs a model; for one that is told so, every result lies in the same arrays. */
const RUNTIMES = {
  async ours({ model, threads, reuses, fastStem }) {
    const { createSession } = await import('/bnn-web.js');
    const session = await createSession(model, { threads, fastStem });
    if (session.threads !== threads) throw new Error(`${session.threads} threads: ${session.threadProblem}`);
    let outputs;
    const run = async (name, data, shape) => {
      const results = await session.run({ [name]: { data, shape } }, { outputs });
      if (reuses) outputs ??= Object.fromEntries(Object.entries(results).map(([key, result]) => [key, result.data]));
      return results;
    };
    return { run, dispose: () => session.dispose() };
  },
  /** It takes arrays for results, too, but writes nothing into them. */
  async onnxruntime({ model, threads }) {
    const ort = await import('/ort/ort.wasm.bundle.min.mjs');
    ort.env.wasm.numThreads = threads;
    const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
    if (ort.env.wasm.numThreads !== threads) throw new Error(`${ort.env.wasm.numThreads} threads`);
    const run = (name, data, shape) => session.run({ [name]: new ort.Tensor('float32', data, shape) });
    return { run, dispose: () => session.release() };
  },
};

const entries = new Map();

/** The same numbers for everybody, about as large as normalized pixels. */
function numbers(shape) {
  const count = shape.reduce((product, size) => product * size, 1);
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 30;
  });
}

/** Loads a model, runs it until it is warm, and says how many samples take `sliceMs`. */
export async function open({ key, input, shape, sliceMs, warmUpMs, ...variant }) {
  const begin = performance.now();
  const session = await RUNTIMES[variant.runtime](variant);
  const createMs = performance.now() - begin;
  const data = numbers(shape);
  const run = () => session.run(input, data, shape);
  const start = performance.now();
  for (let i = 0; i < 3 || performance.now() - start < warmUpMs; i++) await run();
  const sampler = new Sampler(run);
  entries.set(key, { sampler, dispose: session.dispose });
  return { createMs, samples: Math.max(1, Math.round(sliceMs / (await sampler.calibrate()))) };
}

/** Milliseconds of a run, so many samples. */
export async function slice({ key, samples }) {
  return entries.get(key).sampler.take(samples);
}

export async function close() {
  for (const { dispose } of entries.values()) await dispose();
  entries.clear();
}

/** Milliseconds from an empty page to the first result. */
export async function first({ input, shape, ...variant }) {
  const data = numbers(shape);
  const begin = performance.now();
  const session = await RUNTIMES[variant.runtime](variant);
  await session.run(input, data, shape);
  return performance.now() - begin;
}
