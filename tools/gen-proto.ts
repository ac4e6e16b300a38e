/**
 * Generates src/onnx/generated/ from proto/onnx.proto: onnx.ts with the TypeScript types of the messages, decode.ts and encode.ts with
 * protobufjs static code. Apart, so that who only reads files, as a browser does, loads no code that writes them; and as .ts, so that
 * plain `tsc` carries them to dist.
 *
 *     npx tsx tools/gen-proto.ts           write the files
 *     npx tsx tools/gen-proto.ts --check   exit with 1 when a committed file differs
 */

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import pbjs from 'protobufjs-cli/pbjs.js';

const PROTO = fileURLToPath(new URL('../proto/onnx.proto', import.meta.url));
const OUTPUT = new URL('../src/onnx/generated/', import.meta.url);

const OPTIONS = [
  '--target static-module --wrap esm',
  // 64-bit integers as Long (exact), absent fields as null.
  '--force-long --null-semantics',
  '--no-create --no-verify --no-convert --no-delimited --no-typeurl --no-service --no-comments',
];

const HEADER = ['// @ts-nocheck', '// Generated from proto/onnx.proto by tools/gen-proto.ts: do not edit.'];

const SCALARS: Readonly<Record<string, string>> = {
  float: 'number',
  double: 'number',
  int32: 'number',
  int64: 'Long',
  uint64: 'Long',
  string: 'string',
  bytes: 'Uint8Array',
};

type Direction = 'decode' | 'encode';

function staticCode(options: string): Promise<string> {
  return new Promise((resolve, reject) => {
    pbjs.main([...OPTIONS, options].join(' ').split(' ').concat(PROTO), (error, output) => {
      if (error === null && output !== undefined) resolve(output);
      else reject(error ?? new Error('pbjs gave no output'));
    });
  });
}

/** Code of one direction, with the declaration of what it exports. */
async function generateCode(direction: Direction, imports: string, signature: string): Promise<string> {
  const other = direction === 'decode' ? 'encode' : 'decode';
  const output = await staticCode(`--no-${other} --root bnn-toolchain-onnx-${direction}`);
  const code = output.replace('export const onnx =', 'const onnx =');
  if (!code.includes('\nconst onnx =')) throw new Error('pbjs output has changed: no "export const onnx"');
  return [
    ...HEADER,
    `import type { ${imports} } from './onnx.ts';`,
    code.replace(/export \{[^}]*\};\s*$/, '').trim(),
    '',
    `export const ${direction}ModelProto: ${signature} = onnx.ModelProto.${direction};`,
    '',
  ].join('\n');
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

async function generateTypes(): Promise<string> {
  const root = await new protobuf.Root().load(PROTO);
  root.resolveAll();
  const onnx = root.lookup('onnx');
  if (!(onnx instanceof protobuf.Namespace)) throw new Error(`${PROTO} does not declare the package onnx`);
  return [
    ...HEADER,
    "import type Long from 'long';",
    '',
    ...declarations(onnx),
    '',
    '/** A message as it is encoded: every field may be left out. */',
    'export type Init<T> = T extends Uint8Array | Long | number | string | null',
    '  ? T',
    '  : T extends readonly (infer E)[]',
    '    ? readonly Init<E>[]',
    '    : { readonly [K in keyof T]?: Init<T[K]> | undefined };',
    '',
  ].join('\n');
}

const FILES: Readonly<Record<string, string>> = {
  'onnx.ts': await generateTypes(),
  'decode.ts': await generateCode('decode', 'ModelProto', '(reader: $protobuf.Reader | Uint8Array) => ModelProto'),
  'encode.ts': await generateCode('encode', 'Init, ModelProto', '(message: Init<ModelProto>) => $protobuf.Writer'),
};
for (const [name, text] of Object.entries(FILES)) {
  const path = new URL(name, OUTPUT);
  if (!process.argv.includes('--check')) await writeFile(path, text);
  else if ((await readFile(path, 'utf8').catch(() => '')) !== text) {
    process.stderr.write(`src/onnx/generated/${name} is not what proto/onnx.proto gives: npx tsx tools/gen-proto.ts\n`);
    process.exitCode = 1;
  }
}
