/**
 * Generates src/onnx/generated/onnx.ts from proto/onnx.proto: protobufjs static code (encode and decode only) followed by
 * the TypeScript types of the messages. One .ts file, so that plain `tsc` carries it to dist.
 *
 *     npx tsx tools/gen-proto.ts           write the file
 *     npx tsx tools/gen-proto.ts --check   exit with 1 when the committed file differs
 */

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import pbjs from 'protobufjs-cli/pbjs.js';

const PROTO = fileURLToPath(new URL('../proto/onnx.proto', import.meta.url));
const OUTPUT = fileURLToPath(new URL('../src/onnx/generated/onnx.ts', import.meta.url));

const OPTIONS = [
  '--target static-module --wrap esm --root bnn-toolchain-onnx',
  // 64-bit integers as Long (exact), absent fields as null.
  '--force-long --null-semantics',
  '--no-create --no-verify --no-convert --no-delimited --no-typeurl --no-service --no-comments',
];

const SCALARS: Readonly<Record<string, string>> = {
  float: 'number',
  double: 'number',
  int32: 'number',
  int64: 'Long',
  uint64: 'Long',
  string: 'string',
  bytes: 'Uint8Array',
};

function staticCode(): Promise<string> {
  return new Promise((resolve, reject) => {
    pbjs.main([...OPTIONS.join(' ').split(' '), PROTO], (error, output) => {
      if (error === null && output !== undefined) resolve(output);
      else reject(error ?? new Error('pbjs gave no output'));
    });
  });
}

/** `TensorShapeProto.Dimension` is called `TensorShapeProtoDimension`. */
function typeName(type: protobuf.ReflectionObject): string {
  const parent = type.parent;
  return parent instanceof protobuf.Type ? typeName(parent) + type.name : type.name;
}

function fieldType(field: protobuf.Field): string {
  const resolved = field.resolvedType;
  const scalar = SCALARS[field.type];
  const type = resolved === null ? scalar : resolved instanceof protobuf.Enum ? 'number' : typeName(resolved);
  if (type === undefined) throw new Error(`no TypeScript type for ${field.fullName} of type ${field.type}`);
  if (!field.repeated) return `${type} | null`;
  // Packed runs are kept as bytes: src/onnx/packed-numbers.ts.
  return type === 'number' || type === 'Long' ? `readonly (${type} | Uint8Array)[]` : `readonly ${type}[]`;
}

function* declarations(container: protobuf.NamespaceBase): Generator<string> {
  for (const item of container.nestedArray) {
    if (item instanceof protobuf.Enum) {
      const entries = Object.entries(item.values).map(([name, value]) => `  ${name}: ${value},`);
      yield `export const ${typeName(item)} = {\n${entries.join('\n')}\n} as const;`;
    } else if (item instanceof protobuf.Type) {
      const fields = item.fieldsArray.map((field) => `  readonly ${field.name}: ${fieldType(field)};`);
      yield `export interface ${typeName(item)} {\n${fields.join('\n')}\n}`;
      yield* declarations(item);
    }
  }
}

async function generate(): Promise<string> {
  const root = await new protobuf.Root().load(PROTO);
  root.resolveAll();
  const onnx = root.lookup('onnx');
  if (!(onnx instanceof protobuf.Namespace)) throw new Error(`${PROTO} does not declare the package onnx`);
  const code = (await staticCode()).replace('export const onnx =', 'const onnx =');
  if (!code.includes('\nconst onnx =')) throw new Error('pbjs output has changed: no "export const onnx"');
  return [
    '// @ts-nocheck',
    '// Generated from proto/onnx.proto by tools/gen-proto.ts: do not edit.',
    "import type Long from 'long';",
    code.replace(/export \{[^}]*\};\s*$/, '').trim(),
    '',
    ...declarations(onnx),
    '',
    '/** A message as `encode` takes it: every field may be left out. */',
    'export type Init<T> = T extends Uint8Array | Long | number | string | null',
    '  ? T',
    '  : T extends readonly (infer E)[]',
    '    ? readonly Init<E>[]',
    '    : { readonly [K in keyof T]?: Init<T[K]> | undefined };',
    '',
    'export const ModelProto: {',
    '  encode(message: Init<ModelProto>): $protobuf.Writer;',
    '  decode(reader: $protobuf.Reader | Uint8Array): ModelProto;',
    '} = onnx.ModelProto;',
    '',
  ].join('\n');
}

const generated = await generate();
if (process.argv.includes('--check')) {
  const committed = await readFile(OUTPUT, 'utf8').catch(() => '');
  if (committed !== generated) {
    process.stderr.write('src/onnx/generated/onnx.ts is not what proto/onnx.proto gives: npx tsx tools/gen-proto.ts\n');
    process.exitCode = 1;
  }
} else {
  await writeFile(OUTPUT, generated);
}
