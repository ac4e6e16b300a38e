import { readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** Which folders a folder of src/ may import from, besides itself, `errors.ts` and everything those may import from. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  core: [],
  graph: ['core'],
  onnx: ['graph'],
  operators: ['graph'],
  compiler: ['operators'],
  zoo: ['operators'],
  kernels: ['core'],
  estimators: ['kernels'],
  backends: ['kernels'],
  data: ['core'],
  report: ['core'],
  training: ['zoo', 'onnx', 'estimators', 'backends', 'data'],
  engine: ['compiler', 'onnx'],
  web: ['engine'],
  inference: ['engine', 'operators', 'onnx', 'data'],
  convert: ['compiler', 'zoo', 'onnx'],
  tasks: ['convert', 'training', 'inference', 'engine', 'report'],
  cli: ['tasks', 'report'],
};

/** Packages whose types must not leave their folders. */
const CONFINED: Readonly<Record<string, readonly string[]>> = {
  '@tensorflow/': ['kernels', 'backends', 'estimators', 'training'],
  protobufjs: ['onnx'],
  long: ['onnx'],
  'onnxruntime-node': ['inference'],
  commander: ['cli'],
  sharp: ['data'],
  'tar-stream': ['data'],
  h5wasm: ['convert'],
  'playwright-core': ['tasks'],
};

function reachable(folder: string): Set<string> {
  const found = new Set([folder]);
  for (const name of found) for (const below of BELOW[name] ?? []) found.add(below);
  return found;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

describe.each(Object.keys(BELOW))('src/%s', (folder) => {
  it('imports only from the folders below it', () => {
    const allowed = reachable(folder);
    const wrong: string[] = [];
    for (const file of files.filter((name) => name.startsWith(folder + sep))) {
      const text = readFileSync(resolve(SRC, file), 'utf8');
      for (const [, specifier = ''] of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
        if (specifier.startsWith('.')) {
          const target = relative(SRC, resolve(SRC, dirname(file), specifier)).split(sep)[0] ?? '';
          if (target !== 'errors.ts' && !allowed.has(target)) wrong.push(`${file} imports ${specifier}`);
        }
        for (const [name, homes] of Object.entries(CONFINED)) {
          if (specifier.startsWith(name) && !homes.includes(folder)) wrong.push(`${file} imports ${specifier}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

it('every folder of src/ has a place in the order', () => {
  const folders = new Set(files.filter((file) => file.includes(sep)).map((file) => file.split(sep)[0]));
  expect([...folders].filter((folder) => !(folder! in BELOW))).toEqual([]);
});

it('docs/architecture.md names every folder of src/, with what it may import', () => {
  const text = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `src\/(\w+)` \|.*\| ([^|]+) \|$/gm)];
  const named = rows.map(([, folder = '', below = '']): [string, string[]] => [
    folder,
    below === '–' ? [] : below.split(', ').sort(),
  ]);
  expect(Object.fromEntries(named)).toEqual(
    Object.fromEntries(Object.entries(BELOW).map(([folder, below]) => [folder, [...below].sort()])),
  );
});
