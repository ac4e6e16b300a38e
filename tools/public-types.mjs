/**
 * The declarations of a published dist/: those that its entries lead to, with nothing of TensorFlow.js in them, whose own declarations do
 * not compile in a strict project without `skipLibCheck`. Its tensors are opaque to users of this package anyway.
 */

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const ENTRIES = ['index.d.ts', 'web/index.d.ts'];
const STAND_IN = 'tfjs-types';

/** What of TensorFlow.js the public interface mentions. A name that is missing here fails the test that compiles a project. */
const TYPES = `/** Stand-ins for types of TensorFlow.js: what of its tensors the interface of this package relies on. */
export type DataType = 'float32' | 'int32' | 'bool' | 'complex64' | 'string';
export interface TensorInfo {
  readonly dataId: object;
  readonly shape: number[];
  readonly dtype: DataType;
}
export interface Tensor extends TensorInfo {
  readonly rank: number;
  readonly size: number;
  dataSync(): Float32Array | Int32Array | Uint8Array;
  data(): Promise<Float32Array | Int32Array | Uint8Array>;
  dispose(): void;
}
export type KernelBackend = object;
export declare namespace backend_util {
  type Conv2DInfo = object;
}
`;

const SPECIFIER = /(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g;

/** Paths of the declarations that the entries lead to. */
function reachable(dist) {
  const found = new Set(ENTRIES.map((entry) => join(dist, entry)));
  for (const path of found) {
    for (const [, specifier] of readFileSync(path, 'utf8').matchAll(SPECIFIER)) {
      const target = resolve(dirname(path), specifier.replace(/\.[jt]s$/, '.d.ts'));
      if (specifier.startsWith('.') && existsSync(target)) found.add(target);
    }
  }
  return found;
}

export function publishTypes(dist) {
  const kept = reachable(dist);
  for (const name of readdirSync(dist, { recursive: true })) {
    if (name.endsWith('.d.ts') && !kept.has(join(dist, name))) rmSync(join(dist, name));
  }
  for (const path of kept) {
    const text = readFileSync(path, 'utf8');
    if (!text.includes("'@tensorflow/")) continue;
    const place = relative(dirname(path), join(dist, STAND_IN)).replaceAll('\\', '/');
    const specifier = `'${place.startsWith('.') ? place : `./${place}`}.js'`;
    const changed = text
      .replaceAll(/^import '@tensorflow\/[^']*';\n/gm, '')
      .replaceAll(/'@tensorflow\/tfjs-core'/g, specifier);
    writeFileSync(path, changed);
  }
  writeFileSync(join(dist, `${STAND_IN}.d.ts`), TYPES);
}
