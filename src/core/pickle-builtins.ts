/** The few classes and functions that pickles of plain data need, because older protocols have no opcode for them. */

import { BnnError } from '../errors.ts';
import type { PickleConstructor } from './pickle.ts';

/**
 * @param fileBytes  the size of the pickle; no more bytes than that are made altogether, so that a small file that refers to the same
 *                   text many times cannot claim much memory.
 */
export function createBuiltinConstructors(
  fileBytes: number,
): (module: string, name: string) => PickleConstructor | undefined {
  let madeBytes = 0;
  const charge = (bytes: number): void => {
    madeBytes += bytes;
    if (madeBytes > fileBytes) throw new Error(`more bytes than the file's ${fileBytes}`);
  };
  const set: PickleConstructor = ([items = []]) => {
    if (!Array.isArray(items)) throw new Error('a set of what is not a list');
    charge(items.length);
    return new Set<unknown>(items);
  };
  const bytes: PickleConstructor = ([content, encoding]) => {
    if (content === undefined) return new Uint8Array(0);
    if (content instanceof Uint8Array) return content;
    if (typeof content !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1')) {
      throw new BnnError('E_UNSUPPORTED', `text encoded as "${String(encoding)}", only latin1 is read`);
    }
    charge(content.length);
    return new Uint8Array(Buffer.from(content, 'latin1'));
  };
  const known: ReadonlyMap<string, PickleConstructor> = new Map([
    ['_codecs.encode', bytes],
    ['builtins.bytes', bytes],
    ['builtins.bytearray', bytes],
    ['builtins.set', set],
    ['builtins.frozenset', set],
    [
      'collections.OrderedDict',
      ([items]) => {
        if (items !== undefined) throw new BnnError('E_UNSUPPORTED', 'an OrderedDict made from a list');
        return new Map<unknown, unknown>();
      },
    ],
  ]);
  // Python 2 called the module __builtin__.
  return (module, name) => known.get(`${module === '__builtin__' ? 'builtins' : module}.${name}`);
}
