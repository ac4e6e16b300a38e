/** Our own engine behind the interface of a session: packed models without onnxruntime and without a compiler. */

import { readFile } from 'node:fs/promises';
import { EngineSession } from '../engine/engine-session.ts';
import { loadEngineModule } from '../engine/load-engine-io.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import { assertRegularFile, type RunOutput, type Session, type SessionOptions } from './session.ts';

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
  const engine = await EngineSession.create(await loadEngineModule(), await bytesOf(model), at);
  return {
    at,
    ep,
    inputs: engine.inputs,
    outputs: engine.outputs,
    placement: null,
    run: async (x, shape): Promise<RunOutput> => engine.run(x, shape),
    dispose: async () => engine.dispose(),
  };
}

async function bytesOf(model: string | Uint8Array): Promise<Uint8Array> {
  if (typeof model !== 'string') return model;
  await assertRegularFile(model);
  try {
    return await readFile(model);
  } catch (error) {
    throw fromSystemError(error, 'read', model);
  }
}
