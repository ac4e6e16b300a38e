/** Installs onnxruntime beside the project, without its install script, which downloads CUDA files that few need. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installInto } from '../backends/install-peer-io.ts';
import { requireFound } from '../core/found.ts';
import { resolvePeer, setupFolder } from '../core/machine/peers-io.ts';
import { forgetOnnxruntime, loadOnnxruntime } from '../inference/onnxruntime.ts';
import { hasLibraryHere } from '../inference/provider.ts';

/** The releases that are known to work. */
function rangeOf(name: string): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { peerDependencies } = JSON.parse(text) as { readonly peerDependencies: Readonly<Record<string, string>> };
  return `${name}@${peerDependencies[name] ?? 'latest'}`;
}

/**
 * Makes sure that there is a native onnxruntime, or, where npm has none for this platform, the WebAssembly one.
 *
 * @returns one line about what is there afterwards.
 * @throws  {BnnError} E_BACKEND with the reason.
 */
export async function setupOnnxruntime(onStage: (line: string) => void): Promise<string> {
  const before = loadOnnxruntime();
  if (before.ok && before.value.isNative) return `${before.value.title} is installed; nothing to do`;
  const folder = setupFolder('onnxruntime');
  const install = async (name: string) => {
    onStage(`installing ${rangeOf(name)} into ${folder}`);
    await installInto(folder, [rangeOf(name)]);
    forgetOnnxruntime();
  };
  if (resolvePeer('onnxruntime', 'onnxruntime-node') === null) await install('onnxruntime-node');
  if (!hasLibraryHere() || !isNativeNow()) await install('onnxruntime-web');
  const { title, name } = requireFound(loadOnnxruntime());
  return `${title}, in ${resolvePeer('onnxruntime', name) ?? join(folder, 'node_modules')}`;
}

function isNativeNow(): boolean {
  const now = loadOnnxruntime();
  return now.ok && now.value.isNative;
}
