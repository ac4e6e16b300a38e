/**
 * What native/ declares of onnxruntime's C interface, against onnxruntime's own header: places in the table of functions, fields of an
 * operator, numbers. A compiler does the comparison.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { missingHeaders, onnxruntimeHeaders } from './onnxruntime-headers.ts';

const NATIVE = fileURLToPath(new URL('../../native', import.meta.url));
const declarations = ['ort/abi.h', 'node_ort/session_abi.h']
  .map((file) => readFileSync(join(NATIVE, file), 'utf8'))
  .join('\n');

/** `using Run = Slot<9, …`, on one line or two. */
const slots = [...declarations.matchAll(/using (\w+) =\s+Slot<(\d+),/g)].map(([, name, index]) => ({ name, index }));
/** The members of our OrtCustomOp. */
const fields = [
  ...declarations.slice(declarations.indexOf('struct OrtCustomOp {')).matchAll(/^ {2}[\w* ]+\(\*(\w+)\)\(/gm),
].map(([, name]) => name);

// Ours first: its names hide nothing then. SessionOptionsAppendExecutionProvider_VitisAI is the first function that came with 1.18.
const CHECKS = `
#include "node_ort/session_abi.h"
#include <onnxruntime_c_api.h>
#define SLOT(name, index) static_assert(offsetof(OrtApi, name) == index * sizeof(void*), #name); \\
  static_assert(offsetof(OrtApi, name) < offsetof(OrtApi, SessionOptionsAppendExecutionProvider_VitisAI), #name " is newer than 1.17");
#define FIELD(name) static_assert(offsetof(OrtCustomOp, name) == offsetof(bnn::ort::OrtCustomOp, name), #name);
#define SAME(theirs, ours) static_assert(int(theirs) == int(ours), #theirs);
${slots.map(({ name, index }) => `SLOT(${name}, ${index})`).join('\n')}
${fields.map((name) => `FIELD(${name})`).join('\n')}
SAME(ORT_FAIL, bnn::ort::kFail)
SAME(ORT_INVALID_ARGUMENT, bnn::ort::kInvalidArgument)
SAME(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, bnn::ort::kFloat)
SAME(ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, bnn::ort::kUint8)
SAME(INPUT_OUTPUT_REQUIRED, bnn::ort::kRequired)
SAME(OrtMemTypeDefault, bnn::ort::kDefaultMemory)
SAME(ORT_LOGGING_LEVEL_FATAL, ort_abi::kLogFatal)
SAME(ORT_ENABLE_ALL, ort_abi::kOptimizeAll)
SAME(OrtArenaAllocator, ort_abi::kArenaAllocator)
`;

it.skipIf(missingHeaders !== undefined)(
  `the declarations agree with onnxruntime's header${missingHeaders ? ` (skipped: ${missingHeaders})` : ''}`,
  () => {
    expect(slots.length).toBe(declarations.match(/Slot<\d/g)?.length);
    expect(fields.length).toBeGreaterThan(20);
    const folder = mkdtempSync(join(tmpdir(), 'bnn-abi-'));
    try {
      const file = join(folder, 'checks.cc');
      writeFileSync(file, CHECKS);
      const args = ['-std=c++17', '-fsyntax-only', '-Wno-invalid-offsetof', '-I', NATIVE];
      execFileSync('c++', [...args, '-isystem', String(onnxruntimeHeaders), file]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
