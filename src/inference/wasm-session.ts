/** Our own engine behind the interface of a session: packed models without onnxruntime and without a compiler. */

import { readRegularFile } from '../core/files/regular-file-io.ts';
import { sayFewerThreads } from '../core/machine/scarce-threads.ts';
import { EngineSession } from '../engine/engine-session.ts';
import { loadEngine } from '../engine/load-engine-io.ts';
import { BnnError } from '../errors.ts';
import type { CountedSession, EngineOptions } from './engine.ts';
import type { RunOutput } from './session.ts';

/** As `Engine.open`. */
export async function createWasmSession(
  model: string | Uint8Array,
  { ep = 'cpu', threads = 0, fastStem, at = typeof model === 'string' ? model : 'model' }: EngineOptions = {},
): Promise<CountedSession> {
  if (ep !== 'cpu') throw new BnnError('E_USAGE', `the WebAssembly engine runs on cpu, not on ${ep}`, { at });
  const bytes = typeof model === 'string' ? await readRegularFile(model, { expected: 'an ONNX file' }) : model;
  const { module, team } = await loadEngine(threads);
  const engine = await EngineSession.create(module, bytes, { at, team, fastStem });
  if (team !== undefined && engine.threads < team.threads) {
    sayFewerThreads(`the WebAssembly kernels run on ${engine.threads} of ${team.threads} threads`);
  }
  return {
    at,
    ep,
    runtime: `our engine in WebAssembly, ${engine.threads} thread${engine.threads === 1 ? '' : 's'}`,
    inputs: engine.inputs,
    outputs: engine.outputs,
    placement: null,
    threads: engine.threads,
    run: async (x, shape): Promise<RunOutput> => engine.run(x, shape),
    dispose: () => engine.dispose(),
  };
}
