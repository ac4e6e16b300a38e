/** Finds the state_dict in what a checkpoint holds. */

import { describeValue } from '../../core/describe-value.ts';
import { PickledUnknown } from '../../core/pickle/pickle.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
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

/** Pickles can run code when Python loads them; here they cannot, so classes are of no use. */
const HINT =
  'only plain data and tensors are read, no modules: in Python, torch.save(model.state_dict(), path) of the module that torch.load or torch.jit.load gives';

/** @throws {BnnError} E_FORMAT when nothing in it maps names to tensors, E_UNSUPPORTED when something of an unknown class may have done so. */
export function findStateDict(root: unknown, at?: string): StateDict {
  if (root instanceof PickledUnknown) {
    throw new BnnError('E_UNSUPPORTED', `the file holds a whole object of ${describeValue(root.name)}, no state_dict`, {
      at,
      hint: HINT,
    });
  }
  const unknown: PickledUnknown[] = [];
  const found = search(root, '', 0, { seen: new Set(), unknown });
  const [first] = unknown;
  if (found === null && first !== undefined) throw notRead('the state_dict may be in what', first, at);
  if (found === null) {
    throw new BnnError('E_FORMAT', 'the checkpoint holds no state_dict: nothing in it maps names to tensors', {
      at,
      hint: 'save it with torch.save(model.state_dict(), path)',
    });
  }
  return { ...found, metadata: plainValues(root) };
}

function notRead(what: string, { name }: PickledUnknown, at?: string): BnnError {
  return new BnnError('E_UNSUPPORTED', `${what} ${name} makes, which is not on the allow-list`, { at, hint: HINT });
}

interface Search {
  /** A pickle may refer to one dict from many places, or from itself. */
  readonly seen: Set<unknown>;
  /** What was met where a state_dict could be. */
  readonly unknown: PickledUnknown[];
}

function search(value: unknown, path: string, depth: number, state: Search): Omit<StateDict, 'metadata'> | null {
  if (value instanceof PickledUnknown) state.unknown.push(value);
  if (!(value instanceof Map) || depth > MAX_DEPTH || state.seen.has(value)) return null;
  state.seen.add(value);
  const entries: [string, PickledTensor | Tensor][] = [];
  for (const [name, item] of value) {
    const tensor = tensorOf(item);
    if (typeof name === 'string' && tensor !== null) entries.push([name, tensor]);
  }
  // Beside a nested state_dict, a lone tensor (the best accuracy, say) is not one.
  const nested = [...KEYS, ...value.keys()].filter((key): key is string => {
    const item: unknown = typeof key === 'string' ? value.get(key) : null;
    return item instanceof Map || item instanceof PickledUnknown;
  });
  const isOwn = entries.length > 0 && !KEYS.some((key) => nested.includes(key));
  if (isOwn) return { entries: complete(entries, value), path };
  for (const key of nested) {
    const found = search(value.get(key), path === '' ? key : `${path}.${key}`, depth + 1, state);
    if (found !== null) return found;
  }
  return state.unknown.length === 0 && entries.length > 0 ? { entries, path } : null;
}

/** @throws {BnnError} E_UNSUPPORTED for a tensor of a kind that is not read, as a quantized one. */
function complete(entries: StateDict['entries'], dict: ReadonlyMap<unknown, unknown>): StateDict['entries'] {
  for (const [name, item] of dict) {
    if (item instanceof PickledUnknown && item.name.startsWith('torch.'))
      throw notRead(`${describeValue(name)} is what`, item);
  }
  return entries;
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
