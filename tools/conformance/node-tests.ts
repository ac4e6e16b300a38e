/** The node tests of the ONNX standard: one operator each, with inputs and expected outputs. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import onnxProto from 'onnx-proto';
import { fromBytes, type Tensor } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { dtypeOfCode } from '../../src/graph/dtype-code.ts';
import type { Node } from '../../src/graph/graph.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';

export interface NodeTest {
  readonly name: string;
  readonly node: Node;
  readonly opset: number;
  /** By position in the node; null where an optional input is left out. */
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: readonly Tensor[];
}

export type NodeTestData =
  | { readonly ok: true; readonly source: string; readonly tests: readonly NodeTest[] }
  | { readonly ok: false; readonly reason: string };

/** Where Debian's package libonnx-testdata puts them. */
const INSTALLED = '/usr/share/libonnx-testdata/data/node';
const PYTHON = process.env['BNN_PYTHON'] ?? 'python3';

/** Takes the tests from a folder, from Debian's package or from the Python package onnx (BNN_PYTHON), whichever is there. */
export function loadNodeTests(folder?: string): NodeTestData {
  const installed = folder ?? INSTALLED;
  if (existsSync(installed)) return { ok: true, source: installed, tests: readFolder(installed) };
  if (folder !== undefined) return { ok: false, reason: `there is no folder ${folder}` };
  if (spawnSync(PYTHON, ['-c', 'import onnx.backend.test.case.node']).status !== 0) {
    return { ok: false, reason: `no ${INSTALLED}, and "${PYTHON} -c 'import onnx'" fails; set BNN_PYTHON` };
  }
  const temporary = mkdtempSync(join(tmpdir(), 'bnn-node-tests-'));
  try {
    execFileSync(PYTHON, [fileURLToPath(new URL('node_tests.py', import.meta.url)), temporary], { stdio: 'pipe' });
    return { ok: true, source: `the package onnx of ${PYTHON}`, tests: readFolder(temporary) };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function readFolder(folder: string): NodeTest[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => readTest(join(folder, name), name) ?? []);
}

/** Null for what the IR does not hold (strings, sequences, subgraphs) and for graphs of several nodes. */
function readTest(folder: string, name: string): NodeTest | null {
  try {
    const model = decodeModel(readFileSync(join(folder, 'model.onnx')), { at: name });
    const [node, ...others] = model.graph.nodes();
    if (node === undefined || others.length > 0 || node.domain !== '') return null;
    const data = join(folder, 'test_data_set_0');
    const given = new Map(model.graph.inputs.map((value, i) => [value, readTensor(join(data, `input_${i}.pb`))]));
    const outputs = model.graph.outputs.map((_, i) => readTensor(join(data, `output_${i}.pb`)));
    const inputs = node.inputs.map((value) => (value === null ? null : (given.get(value) ?? value.constant)));
    return { name, node, opset: model.opsets.get('') ?? 1, inputs, outputs };
  } catch (error) {
    if (error instanceof BnnError) return null;
    throw error;
  }
}

/** @throws {BnnError} E_UNSUPPORTED for an element type that the IR does not hold. */
function readTensor(path: string): Tensor {
  const { dataType, dims, rawData } = onnxProto.onnx.TensorProto.decode(readFileSync(path));
  const dtype = dtypeOfCode(dataType ?? 0);
  if (dtype === undefined) throw new BnnError('E_UNSUPPORTED', `element type ${dataType}`, { at: path });
  return fromBytes(dtype, dims.map(Number), rawData ?? new Uint8Array(0), path);
}
