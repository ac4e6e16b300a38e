/** Our own engine behind the interface of a session: packed models without onnxruntime and without a compiler. */

import { readRegularFile } from '../core/regular-file-io.ts';
import { EngineSession } from '../engine/engine-session.ts';
import { loadEngineModule } from '../engine/load-engine-io.ts';
import { BnnError } from '../errors.ts';
import type { RunOutput, Session, SessionOptions } from './session.ts';

/**
 * Loads a model.
 *
 * @param model  path of an ONNX file, or its bytes.
 * @throws {BnnError} E_UNSUPPORTED for what the engine does not run, E_BACKEND where WebAssembly does not work, else as `createSession`.
 */
export async function createWasmSession(
  model: string | Uint8Array,
  { ep = 'cpu', at = typeof model === 'string' ? model : 'model' }: SessionOptions = {},
): Promise<Session> {
  if (ep !== 'cpu') throw new BnnError('E_USAGE', `the WebAssembly engine runs on cpu, not on ${ep}`, { at });
  const engine = await EngineSession.create(
    await loadEngineModule(),
    typeof model === 'string' ? await readRegularFile(model, { expected: 'an ONNX file' }) : model,
    at,
  );
  return {
    at,
    ep,
    runtime: 'our engine in WebAssembly, 1 thread',
    inputs: engine.inputs,
    outputs: engine.outputs,
    placement: null,
    run: async (x, shape): Promise<RunOutput> => engine.run(x, shape),
    dispose: async () => engine.dispose(),
  };
}
