/** Files that other tools exported; the test is skipped where the folder of samples is missing. */

import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { onnx } from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/tensors/tensor.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { readModel } from '../../src/onnx/model-io.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/foreign', import.meta.url));
const FILES = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith('.onnx')) : [];

describe('files of other tools', () => {
  if (FILES.length === 0) test.skip('skipped: ../shared/foreign holds no .onnx files', () => {});

  test.each(FILES)('%s', async (name) => {
    const path = `${FOLDER}/${name}`;
    const model = await readModel(path);
    const expected = onnx.ModelProto.decode(await readFile(path)).graph;
    const nodes = (expected?.node ?? []).filter((node) => node.opType !== 'Constant');
    expect([...model.graph.nodes()].map((node) => node.op)).toEqual(nodes.map((node) => node.opType));
    for (const tensor of expected?.initializer ?? []) {
      const constant = model.graph.values.get(tensor.name ?? '')?.constant;
      expect(constant?.shape).toEqual((tensor.dims ?? []).map(Number));
      if (tensor.rawData?.length) expect(Buffer.compare(bytesOf(constant!), tensor.rawData)).toBe(0);
    }
    const bytes = encodeModel(model);
    expect(Buffer.compare(encodeModel(decodeModel(bytes)), bytes)).toBe(0);
  });
});
