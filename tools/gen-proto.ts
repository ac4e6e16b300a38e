/**
 * Generates src/onnx/generated/ from proto/onnx.proto: onnx.ts with the TypeScript types of the messages, decode.ts and encode.ts with
 * protobufjs static code; and src/tensorboard/generated/ from proto/event.proto, which is only written. Apart, so that who only reads files, as a browser does, loads no code that writes them; and as .ts, so that
 * plain `tsc` carries them to dist.
 *
 *     npx tsx tools/gen-proto.ts           write the files
 *     npx tsx tools/gen-proto.ts --check   exit with 1 when a committed file differs
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import pbjs from 'protobufjs-cli/pbjs.js';

interface Target {
  /** Of the file in proto/, and of the file with the types. */
  readonly file: string;
  /** In the proto file; also the folder of src/. */
  readonly package: string;
  /** The message that a file consists of. */
  readonly root: string;
  readonly directions: readonly Direction[];
}

type Direction = 'decode' | 'encode';

const TARGETS: readonly Target[] = [
  { file: 'onnx', package: 'onnx', root: 'ModelProto', directions: ['decode', 'encode'] },
  { file: 'event', package: 'tensorboard', root: 'Event', directions: ['encode'] },
];

const OPTIONS = [
  '--target static-module --wrap esm',
  // 64-bit integers as Long (exact), absent fields as null.
  '--force-long --null-semantics',
  '--no-create --no-verify --no-convert --no-delimited --no-typeurl --no-service --no-comments',
];

function headerOf({ file }: Target): string[] {
  return ['// @ts-nocheck', `// Generated from proto/${file}.proto by tools/gen-proto.ts: do not edit.`];
}

function protoOf({ file }: Target): string {
  return fileURLToPath(new URL(`../proto/${file}.proto`, import.meta.url));
}

const SCALARS: Readonly<Record<string, string>> = {
  float: 'number',
  double: 'number',
  int32: 'number',
  int64: 'Long',
  uint64: 'Long',
  string: 'string',
  bytes: 'Uint8Array',
};

function staticCode(target: Target, options: string): Promise<string> {
  return new Promise((resolve, reject) => {
    pbjs.main([...OPTIONS, options].join(' ').split(' ').concat(protoOf(target)), (error, output) => {
      if (error === null && output !== undefined) resolve(output);
      else reject(error ?? new Error('pbjs gave no output'));
    });
  });
}

/** Code of one direction, with the declaration of what it exports. */
async function generateCode(target: Target, direction: Direction): Promise<string> {
  const { file, root, package: name } = target;
  const [other, imports, signature] =
    direction === 'decode'
      ? ['encode', root, `(reader: $protobuf.Reader | Uint8Array) => ${root}`]
      : ['decode', `Init, ${root}`, `(message: Init<${root}>) => $protobuf.Writer`];
  const output = await staticCode(target, `--no-${other} --root bnn-toolchain-${name}-${direction}`);
  const code = output.replace(`export const ${name} =`, `const ${name} =`);
  if (!code.includes(`\nconst ${name} =`)) throw new Error(`pbjs output has changed: no "export const ${name}"`);
  return [
    ...headerOf(target),
    `import type { ${imports} } from './${file}.ts';`,
    code.replace(/export \{[^}]*\};\s*$/, '').trim(),
    '',
    `export const ${direction}${root}: ${signature} = ${name}.${root}.${direction};`,
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

async function generateTypes(target: Target): Promise<string> {
  const root = await new protobuf.Root().load(protoOf(target));
  root.resolveAll();
  const space = root.lookup(target.package);
  if (!(space instanceof protobuf.Namespace)) {
    throw new Error(`${protoOf(target)} does not declare the package ${target.package}`);
  }
  return [
    ...headerOf(target),
    "import type Long from 'long';",
    '',
    ...declarations(space),
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

async function generate(target: Target): Promise<Record<string, string>> {
  const files: Record<string, string> = { [`${target.file}.ts`]: await generateTypes(target) };
  for (const direction of target.directions) files[`${direction}.ts`] = await generateCode(target, direction);
  return files;
}

for (const target of TARGETS) {
  const folder = new URL(`../src/${target.package}/generated/`, import.meta.url);
  for (const [name, text] of Object.entries(await generate(target))) {
    const path = new URL(name, folder);
    if (!process.argv.includes('--check')) {
      await mkdir(folder, { recursive: true });
      await writeFile(path, text);
    } else if ((await readFile(path, 'utf8').catch(() => '')) !== text) {
      const where = `src/${target.package}/generated/${name}`;
      process.stderr.write(`${where} is not what proto/${target.file}.proto gives: npx tsx tools/gen-proto.ts\n`);
      process.exitCode = 1;
    }
  }
}
