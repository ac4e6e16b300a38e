/** Fetches onnxruntime's CUDA files with the installer of onnxruntime-node, which is never run at install. */

import { dirname, join } from 'node:path';
import { complaint, runProgram } from '../backends/run-program-io.ts';
import { resolvePeer } from '../core/peers-io.ts';
import { BnnError } from '../errors.ts';
import { inspectProvider } from '../inference/provider.ts';
import { setupOnnxruntime } from './setup-onnxruntime-io.ts';

const ATTEMPT_SECONDS = 900;

/**
 * Returns one line about what is there afterwards.
 *
 * @throws {BnnError} E_BACKEND or E_UNSUPPORTED with the reason.
 */
export async function setupCuda(onStage: (line: string) => void): Promise<string> {
  const before = inspectProvider('cuda');
  if (before.works) return `${before.detail}; nothing to do`;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new BnnError('E_UNSUPPORTED', 'onnxruntime-node has cuda for Linux on x64 only', { hint: 'use --ep cpu' });
  }
  await setupOnnxruntime(onStage);
  const main = resolvePeer('onnxruntime', 'onnxruntime-node');
  if (main === null) throw new Error('internal: onnxruntime-node is not where it was installed');
  const root = join(dirname(main), '..');
  onStage('fetching the CUDA 12 files of onnxruntime (about 200 MB) from api.nuget.org');
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'cuda12' };
  // Started through npm, the installer would find settings of npm in the variables, and they may say skip.
  for (const name of Object.keys(env)) if (/^npm_/i.test(name)) Reflect.deleteProperty(env, name);
  const { status, stderr, stdout } = await runProgram(
    process.execPath,
    [join(root, 'script', 'install.js')],
    root,
    env,
    ATTEMPT_SECONDS,
  );
  const after = inspectProvider('cuda');
  if (status === 0 && after.works) return after.detail;
  const reason = complaint(`${stderr}\n${stdout}`, /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|[Ee]rror|[Ff]ailed/);
  throw new BnnError('E_BACKEND', `the installer of onnxruntime-node could not fetch the CUDA files: ${reason}`, {
    at: root,
    hint: 'it downloads from api.nuget.org and needs internet; without it, run bnn setup cuda elsewhere and copy node_modules/onnxruntime-node/bin',
  });
}
