/** onnxruntime's C and C++ headers for the tests that compile against them. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDERS = [
  ...(process.env['CPLUS_INCLUDE_PATH']?.split(delimiter) ?? []),
  '/usr/include',
  '/usr/local/include',
  '/usr/include/onnxruntime',
  fileURLToPath(new URL('../../build/onnxruntime/headers/usr/include/onnxruntime', import.meta.url)),
];

/** The first folder that has them. */
export const onnxruntimeHeaders = FOLDERS.find((path) => existsSync(join(path, 'onnxruntime_cxx_api.h')));

function missingPart(): string | undefined {
  if (onnxruntimeHeaders === undefined) {
    return 'onnxruntime_cxx_api.h is not installed; run: node tools/fetch-onnxruntime.mjs';
  }
  return spawnSync('c++', ['--version']).status === 0 ? undefined : 'there is no C++ compiler, c++';
}

export const missingHeaders = missingPart();
