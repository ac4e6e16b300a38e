/** Finds the state_dict in what a checkpoint holds. */

import type { Tensor } from '../../core/tensor.ts';
import { BnnError } from '../../errors.ts';
import { type PickledTensor, tensorOf } from './pickled-tensor.ts';

export interface StateDict {
  readonly entries: readonly (readonly [name: string, value: PickledTensor | Tensor])[];
  readonly path: string;
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

/** Where training scripts put it, most usual first. */
const KEYS = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'net',
  'network',
  'params',
  'weights',
  'module',
];
const MAX_DEPTH = 4;
/** What wrappers put in front of every name: DataParallel, torch.compile. */
const WRAPPERS = ['module.', '_orig_mod.'];

/** @throws {BnnError} E_FORMAT when nothing in it maps names to tensors. */
export function findStateDict(root: unknown, at?: string): StateDict {
  const found = search(root, '', 0, new Set());
  if (found === null) {
    throw new BnnError('E_FORMAT', 'the checkpoint holds no state_dict: nothing in it maps names to tensors', {
      at,
      hint: 'save it with torch.save(model.state_dict(), path)',
    });
  }
  return { entries: unwrap(found.entries), path: found.path, metadata: plainValues(root) };
}

/** @param seen  a pickle may refer to one dict from many places, or from itself. */
function search(value: unknown, path: string, depth: number, seen: Set<unknown>): Omit<StateDict, 'metadata'> | null {
  if (!(value instanceof Map) || depth > MAX_DEPTH || seen.has(value)) return null;
  seen.add(value);
  const entries: [string, PickledTensor | Tensor][] = [];
  for (const [name, item] of value) {
    const tensor = tensorOf(item);
    if (typeof name === 'string' && tensor !== null) entries.push([name, tensor]);
  }
  // Beside a nested state_dict, a lone tensor (the best accuracy, say) is not one.
  const nested = [...KEYS, ...value.keys()].filter(
    (key): key is string => typeof key === 'string' && value.get(key) instanceof Map,
  );
  const isOwn = entries.length > 0 && !KEYS.some((key) => nested.includes(key));
  if (isOwn) return { entries, path };
  for (const key of nested) {
    const found = search(value.get(key), path === '' ? key : `${path}.${key}`, depth + 1, seen);
    if (found !== null) return found;
  }
  return entries.length > 0 ? { entries, path } : null;
}

function unwrap(entries: StateDict['entries']): StateDict['entries'] {
  let current = entries;
  for (let isWrapped = true; isWrapped; ) {
    const prefix = WRAPPERS.find((wrapper) => current.every(([name]) => name.startsWith(wrapper)));
    isWrapped = prefix !== undefined && current.length > 0;
    if (prefix !== undefined) current = current.map(([name, value]) => [name.slice(prefix.length), value] as const);
  }
  return current;
}

function plainValues(root: unknown): StateDict['metadata'] {
  if (!(root instanceof Map)) return {};
  const plain: Record<string, string | number | boolean> = {};
  for (const [key, value] of root) {
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (typeof key === 'string' && isPlain) plain[key] = value;
  }
  return plain;
}
