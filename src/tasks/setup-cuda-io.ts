/** Brings onnxruntime's CUDA files: by the installer of onnxruntime-node, which is never run at install, or from a file. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { complaint, runProgram } from '../backends/run-program-io.ts';
import { resolvePeer } from '../core/machine/peers-io.ts';
import { BnnError } from '../errors.ts';
import { absentFiles } from '../inference/driver-files-io.ts';
import { CUDA_FILES, inspectProvider, TENSORRT_FILE } from '../inference/provider.ts';
import { bringCudaFiles, cudaPackageUrl } from './cuda-files-io.ts';
import { proxyVariables } from './proxy-settings-io.ts';
import { setupOnnxruntime } from './setup-onnxruntime-io.ts';

const ATTEMPT_SECONDS = 900;
const FILES = [...CUDA_FILES, TENSORRT_FILE];

export interface CudaOptions {
  /** The NuGet package, or a folder with its files, instead of a download. */
  readonly from?: string | undefined;
}

/**
 * Returns what is there afterwards, and, where that does not work yet, why and what to do. What is there is not fetched again.
 *
 * @throws {BnnError} E_BACKEND or E_UNSUPPORTED where the files cannot be brought; what `bringCudaFiles` throws.
 */
export async function setupCuda(onStage: (line: string) => void, { from }: CudaOptions = {}): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new BnnError('E_UNSUPPORTED', 'onnxruntime-node has cuda for Linux on x64 only', { hint: 'use --ep cpu' });
  }
  await setupOnnxruntime(onStage);
  const main = resolvePeer('onnxruntime', 'onnxruntime-node');
  if (main === null) throw new Error('internal: onnxruntime-node is not where it was installed');
  const root = join(dirname(main), '..');
  const folder = join(root, 'bin', 'napi-v6', process.platform, process.arch);
  const version = versionOf(root);
  const hadAll = absentFiles(folder, FILES).length === 0;
  if (from !== undefined) {
    onStage(`taking the CUDA files of onnxruntime ${version} from ${from}`);
    await bringCudaFiles(from, folder, FILES, version);
  } else if (!hadAll) {
    onStage(`fetching the CUDA files of onnxruntime ${version} (about 200 MB) from api.nuget.org`);
    await fetchFiles(root, folder, version);
  }
  const { works, detail, hint } = inspectProvider('cuda');
  const files = `the CUDA files of onnxruntime ${version} are in ${folder}`;
  if (!works) return `${files}; --ep cuda does not work here yet: ${detail}\n${hint ?? ''}`.trimEnd();
  return hadAll && from === undefined ? `${detail}; nothing to do` : `${detail}; ${files}`;
}

function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

async function fetchFiles(root: string, folder: string, version: string): Promise<void> {
  const proxy = await proxyVariables(process.env);
  const env: NodeJS.ProcessEnv = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'cuda12', ...proxy };
  // Started through npm, the installer would find settings of npm in the variables, and they may say skip.
  for (const name of Object.keys(env)) if (/^npm_/i.test(name)) Reflect.deleteProperty(env, name);
  const { status, stderr, stdout } = await runProgram(
    process.execPath,
    [join(root, 'script', 'install.js')],
    root,
    env,
    ATTEMPT_SECONDS,
  );
  const absent = absentFiles(folder, FILES);
  if (status === 0 && absent.length === 0) return;
  const said = complaint(`${stderr}\n${stdout}`, /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|[Ee]rror|[Ff]ailed/);
  const reason = status === 0 ? `${absent.join(', ')} did not come` : status === null ? 'it took too long' : said;
  throw new BnnError('E_BACKEND', `the installer of onnxruntime-node could not fetch the CUDA files: ${reason}`, {
    at: root,
    hint: `it downloads from api.nuget.org${proxy['GLOBAL_AGENT_HTTPS_PROXY'] === undefined ? '' : ` through ${withoutPassword(proxy['GLOBAL_AGENT_HTTPS_PROXY'])}`}; or fetch ${cudaPackageUrl(version)} elsewhere and give it: bnn setup cuda --from FILE`,
  });
}

function withoutPassword(proxy: string): string {
  return proxy.replace(/\/\/[^/@]*@/, '//');
}
