/** The few classes and functions that pickles of plain data need, because older protocols have no opcode for them. */

import { BnnError } from '../../errors.ts';
import { describeValue } from '../describe-value.ts';

/** Builds the value of a call of a Python class or function. It may copy every argument once: that much memory is accounted for. */
export type PickleConstructor = (args: readonly unknown[]) => unknown;

const set: PickleConstructor = ([items = []]) => {
  if (!Array.isArray(items)) throw new Error('a set of what is not a list');
  return new Set<unknown>(items);
};

const bytes: PickleConstructor = ([content, encoding]) => {
  if (content === undefined) return new Uint8Array(0);
  if (content instanceof Uint8Array) return content;
  if (typeof content !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1')) {
    throw new BnnError('E_UNSUPPORTED', `text encoded as ${describeValue(encoding)}, only latin1 is read`);
  }
  return new Uint8Array(Buffer.from(content, 'latin1'));
};

/** From nothing or from a list of pairs, as Python 2 wrote it. */
const orderedDict: PickleConstructor = ([items = []]) => {
  if (items instanceof Map) return items;
  if (!Array.isArray(items)) throw new Error('an OrderedDict made of what is no list');
  return new Map(
    items.map((pair): [unknown, unknown] => {
      if (!Array.isArray(pair) || pair.length !== 2) throw new Error('an OrderedDict made of what are no pairs');
      return [pair[0], pair[1]];
    }),
  );
};

const KNOWN: ReadonlyMap<string, PickleConstructor> = new Map([
  ['_codecs.encode', bytes],
  ['builtins.bytes', bytes],
  ['builtins.bytearray', bytes],
  ['builtins.set', set],
  ['builtins.frozenset', set],
  ['collections.OrderedDict', orderedDict],
]);

/** Python 2 called the module __builtin__. */
export function builtinConstructor(module: string, name: string): PickleConstructor | undefined {
  return KNOWN.get(`${module === '__builtin__' ? 'builtins' : module}.${name}`);
}
