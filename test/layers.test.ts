import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
  rewriting: ['operators'],
  compiler: ['rewriting'],
  zoo: ['operators'],
  kernels: ['core'],
  estimators: ['kernels'],
  backends: ['kernels'],
  data: ['core'],
  report: ['core'],
  distributed: ['core'],
  tensorboard: [],
  training: ['zoo', 'onnx', 'estimators', 'backends', 'data', 'report', 'distributed'],
  engine: ['rewriting', 'onnx'],
  web: ['engine', 'training', 'compiler'],
  inference: ['engine', 'operators', 'onnx', 'data'],
  convert: ['compiler', 'zoo', 'onnx'],
  tasks: ['convert', 'training', 'inference', 'engine', 'report', 'tensorboard'],
  cli: ['tasks', 'report'],
};

/** Packages whose types must not leave their folders. */
const CONFINED: Readonly<Record<string, readonly string[]>> = {
  '@tensorflow/': ['kernels', 'backends', 'estimators', 'training'],
  protobufjs: ['onnx', 'tensorboard'],
  long: ['onnx', 'tensorboard'],
  'onnxruntime-node': ['inference'],
  commander: ['cli'],
  sharp: ['data'],
  'ml-matrix': ['training'],
  'modern-tar': ['data'],
  h5wasm: ['convert'],
  'playwright-core': ['tasks'],
};

function reachable(folder: string): Set<string> {
  const found = new Set([folder]);
  for (const name of found) for (const below of BELOW[name] ?? []) found.add(below);
  return found;
}

const IMPORTED = /(?:from|import)\s*\(?\s*'([^']+)'/g;

function importsOf(file: string): string[] {
  return Array.from(readFileSync(resolve(SRC, file), 'utf8').matchAll(IMPORTED), ([, specifier = '']) => specifier);
}

function relativeImports(file: string): string[] {
  return importsOf(file).filter((specifier) => specifier.startsWith('.'));
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

describe.each(Object.keys(BELOW))('src/%s', (folder) => {
  it('imports only from the folders below it', () => {
    const allowed = reachable(folder);
    const wrong: string[] = [];
    for (const file of files.filter((name) => name.startsWith(folder + sep))) {
      for (const specifier of importsOf(file)) {
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

/** Where a file is imported by what it imports, types included. */
function cyclesOf(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const [order, low, stack, found]: [Map<string, number>, Map<string, number>, string[], string[]] = [
    new Map(),
    new Map(),
    [],
    [],
  ];
  const visit = (file: string): void => {
    order.set(file, order.size);
    low.set(file, order.size);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!, order.get(next)! + 1));
    }
    if (low.get(file) !== order.get(file)! + 1) return;
    const members = stack.splice(stack.indexOf(file));
    if (members.length > 1) found.push(members.sort().join(' '));
  };
  for (const file of imports.keys()) if (!order.has(file)) visit(file);
  return found;
}

describe('cycles of imports', () => {
  const imports = new Map(
    files.map((file): [string, string[]] => [
      file,
      relativeImports(file).map((specifier) => relative(SRC, resolve(SRC, dirname(file), specifier))),
    ]),
  );

  it('are found', () => {
    expect(
      cyclesOf(
        new Map([
          ['a', ['b']],
          ['b', ['c', 'd']],
          ['c', ['a']],
          ['d', []],
        ]),
      ),
    ).toEqual(['a b c']);
  });

  it('there are none, also inside folders', () => {
    expect(cyclesOf(imports)).toEqual([]);
  });
});

it('every folder of src/ has a place in the order', () => {
  const folders = new Set(files.filter((file) => file.includes(sep)).map((file) => file.split(sep)[0]));
  expect([...folders].filter((folder) => !(folder! in BELOW))).toEqual([]);
});

it('docs/architecture.md, or the README.md of a folder, names every room of it', () => {
  const architecture = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8');
  const names = (folder: string, room: string): boolean => {
    const readme = resolve(SRC, folder, 'README.md');
    return `${architecture}${existsSync(readme) ? readFileSync(readme, 'utf8') : ''}`.includes(`${room}/`);
  };
  const rooms = new Set(
    files
      .map((file) => file.split(sep, 3))
      .filter((path) => path.length === 3)
      .map(([a, b]) => `${a}/${b}`),
  );
  const missing = [...rooms].filter((path) => {
    const [folder = '', room = ''] = path.split('/');
    return !['cli', 'backends'].includes(folder) && !names(folder, room);
  });
  expect(missing).toEqual([]);
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
