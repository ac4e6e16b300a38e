/** Finds an installed TensorFlow whose libraries and headers a binding can be built against. */

import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BnnError, systemErrorCode } from '../../errors.ts';

const run = promisify(execFile);

export interface TensorflowFiles {
  /** For people: version and place. */
  readonly description: string;
  readonly include: string;
  /** The folder of the libraries, and those to link. */
  readonly folder: string;
  readonly libraries: readonly string[];
}

export interface TensorflowSource {
  /** A Python interpreter; `python3` when nothing is given. */
  readonly python?: string | undefined;
  /** An unpacked libtensorflow (C library), with include/ and lib/. */
  readonly libtensorflow?: string | undefined;
}

export const PIP_HINT =
  'pip install tensorflow-cpu (or tensorflow[and-cuda] for CUDA GPUs) into a virtual environment and give its interpreter: bnn setup tensorflow --python VENV/bin/python';

/** Prints the folder and the version of TensorFlow without importing it, which would take seconds. */
const PYTHON_QUESTION = `
import importlib.util, importlib.metadata, json
spec = importlib.util.find_spec("tensorflow")
folder = list(spec.submodule_search_locations)[0] if spec and spec.submodule_search_locations else None
version = None
for name in ("tensorflow", "tensorflow_cpu", "tensorflow-cpu", "tensorflow_rocm", "tensorflow_cpu_aws", "tf_nightly"):
    try:
        version = importlib.metadata.version(name)
        break
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps([folder, version]))
`;

const SUFFIX = process.platform === 'darwin' ? '2.dylib' : 'so.2';

/** @throws {BnnError} E_NOT_FOUND or E_UNSUPPORTED: what is missing and where to get it. */
export async function findTensorflow({ python, libtensorflow }: TensorflowSource): Promise<TensorflowFiles> {
  if (process.platform === 'win32') {
    throw new BnnError('E_UNSUPPORTED', 'TensorFlow for Windows comes without the libraries that a binding needs', {
      hint: 'use WSL, or --backend webgpu, which works on Windows GPUs',
    });
  }
  if (libtensorflow !== undefined) return findLibrary(libtensorflow);
  return await findPythonPackage(python ?? process.env['BNN_PYTHON'] ?? 'python3');
}

function findLibrary(root: string): TensorflowFiles {
  const folder = join(root, 'lib');
  const files = existsSync(folder) ? readdirSync(folder) : [];
  const libraries = ['libtensorflow', 'libtensorflow_framework'].map((stem) => `${stem}.${SUFFIX}`);
  const missing = libraries.find((name) => !files.includes(name));
  if (missing !== undefined) {
    throw new BnnError('E_NOT_FOUND', `there is no ${missing} in ${folder}`, {
      at: root,
      hint: 'give the folder that the libtensorflow archive was unpacked into, the one with include/ and lib/',
    });
  }
  return complete(`libtensorflow in ${root}`, join(root, 'include'), folder, libraries);
}

async function findPythonPackage(python: string): Promise<TensorflowFiles> {
  const [root, version] = await askPython(python);
  if (root === null) {
    throw new BnnError('E_NOT_FOUND', `${python} has no TensorFlow`, { hint: PIP_HINT });
  }
  const libraries = ['libtensorflow_cc', 'libtensorflow_framework'].map((stem) => `${stem}.${SUFFIX}`);
  const missing = libraries.find((name) => !existsSync(join(root, name)));
  if (missing !== undefined) {
    throw new BnnError('E_UNSUPPORTED', `TensorFlow ${version ?? ''} of ${python} comes without ${missing}`, {
      at: root,
      hint: `wheels have it since TensorFlow 2.9; ${PIP_HINT}`,
    });
  }
  return complete(`TensorFlow ${version ?? '(unknown version)'} in ${root}`, join(root, 'include'), root, libraries);
}

async function askPython(python: string): Promise<[folder: string | null, version: string | null]> {
  try {
    const { stdout } = await run(python, ['-c', PYTHON_QUESTION]);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as [string | null, string | null];
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      throw new BnnError('E_NOT_FOUND', `there is no Python interpreter "${python}" to look for TensorFlow with`, {
        hint: `install one, give --python PATH, or give --libtensorflow DIR; ${PIP_HINT}`,
      });
    }
    const text = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
    throw new BnnError('E_NOT_FOUND', `${python} cannot say where TensorFlow is: ${text}`, {
      hint: PIP_HINT,
      cause: error,
    });
  }
}

function complete(description: string, include: string, folder: string, libraries: readonly string[]): TensorflowFiles {
  if (!existsSync(join(include, 'tensorflow', 'c', 'c_api.h'))) {
    throw new BnnError('E_UNSUPPORTED', `${description} comes without its C headers (tensorflow/c/c_api.h)`, {
      at: include,
      hint: PIP_HINT,
    });
  }
  return { description, include, folder, libraries };
}
