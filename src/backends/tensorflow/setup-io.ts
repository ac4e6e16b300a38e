/**
 * Installs @tensorflow/tfjs-node and builds its binding against a TensorFlow that is already on the machine. The package itself
 * would download TensorFlow 2.9, which knows neither current GPUs nor current CUDA; its binding uses only the C API, which a
 * current TensorFlow still exports.
 */

import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setupFolder } from '../../core/machine/peers-io.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../../errors.ts';
import type { Setup } from '../backend-facts.ts';
import { installInto } from '../install-peer-io.ts';
import { complaint, runProgram } from '../run-program-io.ts';
import { findTensorflow, type TensorflowFiles, type TensorflowSource } from './find-tensorflow-io.ts';
import { VERIFICATION } from './verification.ts';

const PACKAGE = '@tensorflow/tfjs-node';
const VERSION = '4.22.0';
/** Of the Node-API that the binding is built for, and of the folder where tfjs-node looks for it. */
const NAPI_VERSION = 8;

interface Verified {
  readonly version: string;
  readonly hasGpu: boolean;
  /** What TensorFlow said about GPUs, where it uses none. */
  readonly gpuLack?: string | undefined;
  /** Loss of the verification before and after its training steps. */
  readonly losses: readonly [first: number, last: number];
}

/** @throws {BnnError} naming the stage that failed, why, and what to do about it. */
export async function setupTensorflow(
  source: TensorflowSource,
  onStage: (line: string) => void,
): ReturnType<Setup['run']> {
  const tensorflow = await findTensorflow(source);
  onStage(`found ${tensorflow.description}`);
  const folder = setupFolder('tensorflow');
  await installPackage(folder, onStage);
  await buildBinding(folder, tensorflow, onStage);
  onStage('verifying with a few training steps');
  const verified = await verify(folder);
  const { version, hasGpu, gpuLack, losses } = verified;
  return {
    facts: { tensorflow: tensorflow.description, folder, ...verified },
    text: `TensorFlow ${version} trains on ${hasGpu ? 'the GPU' : `the CPU${gpuLack === undefined ? '' : ` (${gpuLack})`}`}: loss ${losses[0].toFixed(3)} to ${losses[1].toFixed(3)}; binding in ${folder}`,
  };
}

async function installPackage(folder: string, onStage: (line: string) => void): Promise<void> {
  if (existsSync(join(folder, 'node_modules', PACKAGE, 'binding'))) {
    onStage(`${PACKAGE} is in ${folder}`);
    return;
  }
  onStage(`installing ${PACKAGE} ${VERSION} into ${folder}`);
  await installInto(folder, [`${PACKAGE}@${VERSION}`]);
}

async function buildBinding(
  folder: string,
  tensorflow: TensorflowFiles,
  onStage: (line: string) => void,
): Promise<void> {
  const root = join(folder, 'node_modules', PACKAGE);
  const target = join(root, 'lib', `napi-v${NAPI_VERSION}`, 'tfjs_binding.node');
  const headers = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
  const temporary = `${target}.tmp`;
  await mkdir(dirname(target), { recursive: true });
  const undefinedLater = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : [];
  const args = [
    ...['-std=c++17', '-O2', '-shared', '-fPIC', '-w', `-DNAPI_VERSION=${NAPI_VERSION}`],
    ...[headers, tensorflow.include, join(root, 'binding')].flatMap((path) => ['-I', path]),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(root, 'binding', file)),
    ...tensorflow.libraries.map((name) => join(tensorflow.folder, name)),
    ...[`-Wl,-rpath,${tensorflow.folder}`, ...undefinedLater, '-o', temporary],
  ];
  for (const compiler of [process.env['CXX'], 'g++', 'clang++', 'c++']) {
    if (!compiler) continue;
    onStage(`building the binding with ${compiler}`);
    const outcome = await runProgram(compiler, args).catch((error: unknown) => {
      if (systemErrorCode(error) === 'ENOENT') return null;
      throw fromSystemError(error, `start ${compiler}`, compiler);
    });
    if (outcome === null) continue;
    if (outcome.status !== 0) {
      await rm(temporary, { force: true });
      throw new BnnError(
        'E_BACKEND',
        `${compiler} could not build the binding: ${complaint(outcome.stderr, /error|undefined reference|cannot find/)}`,
        {
          at: tensorflow.folder,
          hint: 'g++ 9 or later and TensorFlow 2.9 or later are needed; see docs/gpu.md for what was tested',
        },
      );
    }
    await rename(temporary, target);
    return;
  }
  throw new BnnError('E_BACKEND', 'there is no C++ compiler to build the binding with (tried g++, clang++, c++)', {
    hint: 'install g++ (Debian: apt-get install g++), or set CXX',
  });
}

/** A crash inside TensorFlow must not take the command down, hence the child process. */
async function verify(folder: string): Promise<Verified> {
  // At this level it says what it does about GPUs.
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '0', TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
  const entry = join(folder, 'node_modules', PACKAGE);
  const { status, stdout, stderr } = await runProgram(process.execPath, ['-e', VERIFICATION, entry], folder, env);
  if (status === 0) {
    const report = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Verified;
    if (report.losses[1] < report.losses[0])
      return { ...report, gpuLack: report.hasGpu ? undefined : gpuLackIn(stderr) };
    throw new BnnError('E_BACKEND', `training did not lower the loss (${report.losses.join(' to ')})`, {
      at: folder,
      hint: 'try another version of TensorFlow; docs/gpu.md lists what was tested',
    });
  }
  throw new BnnError(
    'E_BACKEND',
    `the binding was built but does not work: ${complaint(stderr, /Error|error|cannot open|undefined symbol|GLIBC/)}`,
    {
      at: folder,
      hint: 'TensorFlow and its libraries must stay where they were found; after moving or upgrading them run bnn setup tensorflow again',
    },
  );
}

/** The sentence of TensorFlow's messages that says why it uses no GPU. */
export function gpuLackIn(messages: string): string | undefined {
  const sentences = [
    /Could not find cuda drivers[^\n]*/i,
    /Cannot dlopen some GPU libraries[^.\n]*/,
    /Could not load dynamic library '[^']*'/,
    /failed call to cuInit:[^\n]*/,
    /CUDA_VISIBLE_DEVICES[^\n]*/,
  ];
  for (const sentence of sentences) {
    const [said] = sentence.exec(messages) ?? [];
    if (said !== undefined) return said.trim();
  }
  return undefined;
}
