/**
 * Cross-check with the Python package onnx: its checker on files of this project, and its message definitions against
 * proto/onnx.proto. The interpreter is `python3`, or what the environment variable BNN_PYTHON names; without the package
 * the tests are skipped.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { afterAll, describe, expect, test } from 'vitest';
import type { Model } from '../../src/graph/model.ts';
import { encodeModel } from '../../src/onnx/encode-model.ts';
import { convModel, functionModel } from './sample-models.ts';

const PYTHON = process.env['BNN_PYTHON'] ?? 'python3';
const python = (script: string, ...args: string[]) =>
  execFileSync(PYTHON, ['-c', script, ...args], { encoding: 'utf8' });
const hasOnnx = spawnSync(PYTHON, ['-c', 'import onnx']).status === 0;
const reason = hasOnnx ? '' : ` (skipped: "${PYTHON} -c 'import onnx'" fails; set BNN_PYTHON)`;

const FIELDS = `
import json
from onnx import onnx_ml_pb2
fields, enums = {}, {}
def message(m):
    for f in m.fields:
        fields[m.full_name + '.' + f.name] = [f.number, f.type, f.is_repeated]
    for e in m.enum_types:
        enums[e.full_name] = {v.name: v.number for v in e.values}
    for n in m.nested_types:
        message(n)
for m in onnx_ml_pb2.DESCRIPTOR.message_types_by_name.values():
    message(m)
print(json.dumps([fields, enums]))
`;

/** Field types of descriptor.proto. */
const TYPE_NUMBERS: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  string: 9,
  bytes: 12,
};

describe.skipIf(!hasOnnx)(`Python onnx${reason}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'bnn-checker-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each<[string, () => Model]>([
    ['convolution', convModel],
    ['functions', functionModel],
    ['functions of IR version 10', () => Object.assign(functionModel(), { irVersion: 10 })],
  ])('the checker accepts: %s', (name, build) => {
    const path = join(folder, `${name}.onnx`);
    writeFileSync(path, encodeModel(build()));
    const script = 'import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True); print("ok")';
    expect(python(script, path).trim()).toBe('ok');
  });

  test('every message field and enumeration of proto/onnx.proto is that of the standard', () => {
    const [fields, enums] = JSON.parse(python(FIELDS));
    const root = new protobuf.Root().loadSync(fileURLToPath(new URL('../../proto/onnx.proto', import.meta.url)), {
      keepCase: true,
    });
    root.resolveAll();
    let compared = 0;
    const visit = (container: protobuf.NamespaceBase): void => {
      for (const item of container.nestedArray) {
        if (item instanceof protobuf.Enum) expect(item.values).toEqual(enums[item.fullName.slice(1)]);
        if (!(item instanceof protobuf.Type)) continue;
        for (const field of item.fieldsArray) {
          const type =
            field.resolvedType === null
              ? TYPE_NUMBERS[field.type]
              : field.resolvedType instanceof protobuf.Enum
                ? 14
                : 11;
          expect([field.fullName, field.id, type, field.repeated]).toEqual([
            field.fullName,
            ...fields[`${item.fullName.slice(1)}.${field.name}`],
          ]);
          compared++;
        }
        visit(item);
      }
    };
    visit(root.lookup('onnx') as protobuf.Namespace);
    expect(compared).toBeGreaterThan(100);
  });
});
