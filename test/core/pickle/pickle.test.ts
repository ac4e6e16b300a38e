import { describe, expect, test } from 'vitest';
import { Rng } from '../../../src/core/numbers/rng.ts';
import { numpyConstructor, type PickledArray } from '../../../src/core/pickle/numpy-pickle.ts';
import { decodePickle, type PickleOptions } from '../../../src/core/pickle/pickle.ts';
import { toNumbers } from '../../../src/core/tensors/tensor.ts';
import { BnnError } from '../../../src/errors.ts';

/**
 * Written by CPython 3.11, `pickle.dumps(v, protocol)` for protocols 0 to 5 (NumPy 2.4 for the arrays), where
 *
 *     v = {'n': [0, 1, -2, 300, 70000, 2**40, -2**70, True, False, None, 1.5, float('inf')],
 *          't': (b'\x00\xff', 'h\u00e9 \u20ac \U0001F600\n\\u0041'),
 *          'e': ((), [], {}, (1,), (1, 2), (1, 2, 3, 4)), 's': {7}, 'f': frozenset({8})}
 *     v['shared'] = [v['t'], v['t']]
 */
const VALUES = [
  'KGRwMApWbgpwMQoobHAyCkkwCmFJMQphSS0yCmFJMzAwCmFJNzAwMDAKYUwxMDk5NTExNjI3Nzc2TAphTC0xMTgwNTkxNjIwNzE3NDExMzAzNDI0TAphSTAxCmFJMDAKYU5hRjEuNQphRmluZgphc1Z0CnAzCihjX2NvZGVjcwplbmNvZGUKcDQKKFZcdTAwMDD/CnA1ClZsYXRpbjEKcDYKdHA3ClJwOApWaOkgXHUyMGFjIFxVMDAwMWY2MDBcdTAwMGFcdTAwNWN1MDA0MQpwOQp0cDEwCnNWZQpwMTEKKCh0KGxwMTIKKGRwMTMKKEkxCnRwMTQKKEkxCkkyCnRwMTUKKEkxCkkyCkkzCkk0CnRwMTYKdHAxNwpzVnMKcDE4CmNfX2J1aWx0aW5fXwpzZXQKcDE5CigobHAyMApJNwphdHAyMQpScDIyCnNWZgpwMjMKY19fYnVpbHRpbl9fCmZyb3plbnNldApwMjQKKChscDI1Ckk4CmF0cDI2ClJwMjcKc1ZzaGFyZWQKcDI4CihscDI5CmcxMAphZzEwCmFzLg==',
  'fXEAKFgBAAAAbnEBXXECKEsASwFK/v///00sAUpwEQEATDEwOTk1MTE2Mjc3NzZMCkwtMTE4MDU5MTYyMDcxNzQxMTMwMzQyNEwKSTAxCkkwMApORz/4AAAAAAAAR3/wAAAAAAAAZVgBAAAAdHEDKGNfY29kZWNzCmVuY29kZQpxBChYAwAAAADDv3EFWAYAAABsYXRpbjFxBnRxB1JxCFgTAAAAaMOpIOKCrCDwn5iAClx1MDA0MXEJdHEKWAEAAABlcQsoKV1xDH1xDShLAXRxDihLAUsCdHEPKEsBSwJLA0sEdHEQdHERWAEAAABzcRJjX19idWlsdGluX18Kc2V0CnETKF1xFEsHYXRxFVJxFlgBAAAAZnEXY19fYnVpbHRpbl9fCmZyb3plbnNldApxGChdcRlLCGF0cRpScRtYBgAAAHNoYXJlZHEcXXEdKGgKaApldS4=',
  'gAJ9cQAoWAEAAABucQFdcQIoSwBLAUr+////TSwBSnARAQCKBgAAAAAAAYoJAAAAAAAAAADAiIlORz/4AAAAAAAAR3/wAAAAAAAAZVgBAAAAdHEDY19jb2RlY3MKZW5jb2RlCnEEWAMAAAAAw79xBVgGAAAAbGF0aW4xcQaGcQdScQhYEwAAAGjDqSDigqwg8J+YgApcdTAwNDFxCYZxClgBAAAAZXELKCldcQx9cQ1LAYVxDksBSwKGcQ8oSwFLAksDSwR0cRB0cRFYAQAAAHNxEmNfX2J1aWx0aW5fXwpzZXQKcRNdcRRLB2GFcRVScRZYAQAAAGZxF2NfX2J1aWx0aW5fXwpmcm96ZW5zZXQKcRhdcRlLCGGFcRpScRtYBgAAAHNoYXJlZHEcXXEdKGgKaApldS4=',
  'gAN9cQAoWAEAAABucQFdcQIoSwBLAUr+////TSwBSnARAQCKBgAAAAAAAYoJAAAAAAAAAADAiIlORz/4AAAAAAAAR3/wAAAAAAAAZVgBAAAAdHEDQwIA/3EEWBMAAABow6kg4oKsIPCfmIAKXHUwMDQxcQWGcQZYAQAAAGVxBygpXXEIfXEJSwGFcQpLAUsChnELKEsBSwJLA0sEdHEMdHENWAEAAABzcQ5jYnVpbHRpbnMKc2V0CnEPXXEQSwdhhXERUnESWAEAAABmcRNjYnVpbHRpbnMKZnJvemVuc2V0CnEUXXEVSwhhhXEWUnEXWAYAAABzaGFyZWRxGF1xGShoBmgGZXUu',
  'gASVrAAAAAAAAAB9lCiMAW6UXZQoSwBLAUr+////TSwBSnARAQCKBgAAAAAAAYoJAAAAAAAAAADAiIlORz/4AAAAAAAAR3/wAAAAAAAAZYwBdJRDAgD/lIwTaMOpIOKCrCDwn5iAClx1MDA0MZSGlIwBZZQoKV2UfZRLAYWUSwFLAoaUKEsBSwJLA0sEdJR0lIwBc5SPlChLB5CMAWaUKEsIkZSMBnNoYXJlZJRdlChoBmgGZXUu',
  'gAWVrAAAAAAAAAB9lCiMAW6UXZQoSwBLAUr+////TSwBSnARAQCKBgAAAAAAAYoJAAAAAAAAAADAiIlORz/4AAAAAAAAR3/wAAAAAAAAZYwBdJRDAgD/lIwTaMOpIOKCrCDwn5iAClx1MDA0MZSGlIwBZZQoKV2UfZRLAYWUSwFLAoaUKEsBSwJLA0sEdJR0lIwBc5SPlChLB5CMAWaUKEsIkZSMBnNoYXJlZJRdlChoBmgGZXUu',
];

/** `{'a': np.arange(6, dtype='u1').reshape(2, 3) * 50, 'f': np.array([1.5, -2], dtype='<f4')}`. */
const ARRAYS = [
  'KGRwMApWYQpwMQpjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcDIKKGNudW1weQpuZGFycmF5CnAzCihJMAp0cDQKY19jb2RlY3MKZW5jb2RlCnA1CihWYgpwNgpWbGF0aW4xCnA3CnRwOApScDkKdHAxMApScDExCihJMQooSTIKSTMKdHAxMgpjbnVtcHkKZHR5cGUKcDEzCihWdTEKcDE0CkkwMApJMDEKdHAxNQpScDE2CihJMwpWfApwMTcKTk5OSS0xCkktMQpJMAp0cDE4CmJJMDAKZzUKKFZcdTAwMDAyZJbI+gpwMTkKZzcKdHAyMApScDIxCnRwMjIKYnNWZgpwMjMKZzIKKGczCihJMAp0cDI0Cmc5CnRwMjUKUnAyNgooSTEKKEkyCnRwMjcKZzEzCihWZjQKcDI4CkkwMApJMDEKdHAyOQpScDMwCihJMwpWPApwMzEKTk5OSS0xCkktMQpJMAp0cDMyCmJJMDAKZzUKKFZcdTAwMDBcdTAwMDDAP1x1MDAwMFx1MDAwMFx1MDAwMMAKcDMzCmc3CnRwMzQKUnAzNQp0cDM2CmJzLg==',
  'fXEAKFgBAAAAYXEBY251bXB5Ll9jb3JlLm11bHRpYXJyYXkKX3JlY29uc3RydWN0CnECKGNudW1weQpuZGFycmF5CnEDKEsAdHEEY19jb2RlY3MKZW5jb2RlCnEFKFgBAAAAYnEGWAYAAABsYXRpbjFxB3RxCFJxCXRxClJxCyhLAShLAksDdHEMY251bXB5CmR0eXBlCnENKFgCAAAAdTFxDkkwMApJMDEKdHEPUnEQKEsDWAEAAAB8cRFOTk5K/////0r/////SwB0cRJiSTAwCmgFKFgJAAAAADJkwpbDiMO6cRNoB3RxFFJxFXRxFmJYAQAAAGZxF2gCKGgDKEsAdHEYaAl0cRlScRooSwEoSwJ0cRtoDShYAgAAAGY0cRxJMDAKSTAxCnRxHVJxHihLA1gBAAAAPHEfTk5OSv////9K/////0sAdHEgYkkwMApoBShYCgAAAAAAw4A/AAAAw4BxIWgHdHEiUnEjdHEkYnUu',
  'gAJ9cQAoWAEAAABhcQFjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQJjbnVtcHkKbmRhcnJheQpxA0sAhXEEY19jb2RlY3MKZW5jb2RlCnEFWAEAAABicQZYBgAAAGxhdGluMXEHhnEIUnEJh3EKUnELKEsBSwJLA4ZxDGNudW1weQpkdHlwZQpxDVgCAAAAdTFxDomIh3EPUnEQKEsDWAEAAAB8cRFOTk5K/////0r/////SwB0cRJiiWgFWAkAAAAAMmTClsOIw7pxE2gHhnEUUnEVdHEWYlgBAAAAZnEXaAJoA0sAhXEYaAmHcRlScRooSwFLAoVxG2gNWAIAAABmNHEciYiHcR1ScR4oSwNYAQAAADxxH05OTkr/////Sv////9LAHRxIGKJaAVYCgAAAAAAw4A/AAAAw4BxIWgHhnEiUnEjdHEkYnUu',
  'gAN9cQAoWAEAAABhcQFjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQJjbnVtcHkKbmRhcnJheQpxA0sAhXEEQwFicQWHcQZScQcoSwFLAksDhnEIY251bXB5CmR0eXBlCnEJWAIAAAB1MXEKiYiHcQtScQwoSwNYAQAAAHxxDU5OTkr/////Sv////9LAHRxDmKJQwYAMmSWyPpxD3RxEGJYAQAAAGZxEWgCaANLAIVxEmgFh3ETUnEUKEsBSwKFcRVoCVgCAAAAZjRxFomIh3EXUnEYKEsDWAEAAAA8cRlOTk5K/////0r/////SwB0cRpiiUMIAADAPwAAAMBxG3RxHGJ1Lg==',
  'gASV5wAAAAAAAAB9lCiMAWGUjBZudW1weS5fY29yZS5tdWx0aWFycmF5lIwMX3JlY29uc3RydWN0lJOUjAVudW1weZSMB25kYXJyYXmUk5RLAIWUQwFilIeUUpQoSwFLAksDhpRoBYwFZHR5cGWUk5SMAnUxlImIh5RSlChLA4wBfJROTk5K/////0r/////SwB0lGKJQwYAMmSWyPqUdJRijAFmlGgEaAdLAIWUaAmHlFKUKEsBSwKFlGgOjAJmNJSJiIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiiUMIAADAPwAAAMCUdJRidS4=',
  'gAWVzQAAAAAAAAB9lCiMAWGUjBNudW1weS5fY29yZS5udW1lcmljlIwLX2Zyb21idWZmZXKUk5QolgYAAAAAAAAAADJklsj6lIwFbnVtcHmUjAVkdHlwZZSTlIwCdTGUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LAHSUYksCSwOGlIwBQ5R0lFKUjAFmlGgEKJYIAAAAAAAAAAAAwD8AAADAlGgIjAJmNJSJiIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiSwKFlGgPdJRSlHUu',
];

/** Of NumPy 2.4, protocol 5: `np.arange(24, dtype='<f4').reshape(2, 3, 4).transpose(order)`; [2, 1, 0] is in Fortran order. */
const ORDERED = [
  {
    order: [1, 0, 2],
    text: 'gAWV4AAAAAAAAACME251bXB5Ll9jb3JlLm51bWVyaWOUjAtfZnJvbWJ1ZmZlcpSTlCiWYAAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAACAQAAAoEAAAMBAAADgQAAAAEEAABBBAAAgQQAAMEEAAEBBAABQQQAAYEEAAHBBAACAQQAAiEEAAJBBAACYQQAAoEEAAKhBAACwQQAAuEGUjAVudW1weZSMBWR0eXBllJOUjAJmNJSJiIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiSwJLA0sEh5SMAUuUSwFLAEsCh5R0lFKULg==',
  },
  {
    order: [1, 2, 0],
    text: 'gAWV4AAAAAAAAACME251bXB5Ll9jb3JlLm51bWVyaWOUjAtfZnJvbWJ1ZmZlcpSTlCiWYAAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAACAQAAAoEAAAMBAAADgQAAAAEEAABBBAAAgQQAAMEEAAEBBAABQQQAAYEEAAHBBAACAQQAAiEEAAJBBAACYQQAAoEEAAKhBAACwQQAAuEGUjAVudW1weZSMBWR0eXBllJOUjAJmNJSJiIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiSwJLA0sEh5SMAUuUSwFLAksAh5R0lFKULg==',
  },
  {
    order: [2, 0, 1],
    text: 'gAWV4AAAAAAAAACME251bXB5Ll9jb3JlLm51bWVyaWOUjAtfZnJvbWJ1ZmZlcpSTlCiWYAAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAACAQAAAoEAAAMBAAADgQAAAAEEAABBBAAAgQQAAMEEAAEBBAABQQQAAYEEAAHBBAACAQQAAiEEAAJBBAACYQQAAoEEAAKhBAACwQQAAuEGUjAVudW1weZSMBWR0eXBllJOUjAJmNJSJiIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiSwJLA0sEh5SMAUuUSwJLAEsBh5R0lFKULg==',
  },
  {
    order: [2, 1, 0],
    text: 'gAWV2AAAAAAAAACME251bXB5Ll9jb3JlLm51bWVyaWOUjAtfZnJvbWJ1ZmZlcpSTlCiWYAAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAACAQAAAoEAAAMBAAADgQAAAAEEAABBBAAAgQQAAMEEAAEBBAABQQQAAYEEAAHBBAACAQQAAiEEAAJBBAACYQQAAoEEAAKhBAACwQQAAuEGUjAVudW1weZSMBWR0eXBllJOUjAJmNJSJiIeUUpQoSwOMATyUTk5OSv////9K/////0sAdJRiSwRLA0sCh5SMAUaUdJRSlC4=',
  },
];

const NOTHING: PickleOptions = { construct: () => undefined, at: 'x.pkl' };
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
/** Pickles are spelt here as latin-1 text. */
const spelt = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

function failure(bytes: Uint8Array, options = NOTHING): BnnError {
  try {
    decodePickle(bytes, options);
  } catch (error) {
    expect(error).toBeInstanceOf(BnnError);
    return error as BnnError;
  }
  throw new Error('no error');
}

describe('values written by Python', () => {
  test.each(VALUES.map((text, protocol) => ({ protocol, text })))('protocol $protocol', ({ text }) => {
    const v = decodePickle(fromBase64(text), NOTHING) as Map<string, unknown>;
    expect([...v.keys()]).toEqual(['n', 't', 'e', 's', 'f', 'shared']);
    expect(v.get('n')).toEqual([0, 1, -2, 300, 70000, 2 ** 40, -(2n ** 70n), true, false, null, 1.5, Infinity]);
    const [bytes, string] = v.get('t') as [Uint8Array, string];
    expect([...bytes]).toEqual([0, 255]);
    expect(string).toBe('h\u00e9 \u20ac \u{1F600}\n\\u0041');
    expect(v.get('e')).toEqual([[], [], new Map(), [1], [1, 2], [1, 2, 3, 4]]);
    expect(v.get('s')).toEqual(new Set([7]));
    expect(v.get('f')).toEqual(new Set([8]));
    const [first, second] = v.get('shared') as unknown[];
    expect(first).toBe(second);
    expect(first).toBe(v.get('t'));
  });

  test.each(ARRAYS.map((text, protocol) => ({ protocol, text })))('arrays, protocol $protocol', ({ text }) => {
    const bytes = fromBase64(text);
    const value = decodePickle(bytes, { construct: numpyConstructor }) as Map<string, PickledArray>;
    const a = value.get('a')!.tensor;
    expect([a.dtype, a.shape, toNumbers(a)]).toEqual(['uint8', [2, 3], [0, 50, 100, 150, 200, 250]]);
    const f = value.get('f')!.tensor;
    expect([f.dtype, f.shape, toNumbers(f)]).toEqual(['float32', [2], [1.5, -2]]);
  });

  test.each(ORDERED)('arrays with axes in order $order', ({ order, text }) => {
    const { tensor } = decodePickle(fromBase64(text), { construct: numpyConstructor }) as PickledArray;
    const shape = order.map((axis) => [2, 3, 4][axis]!);
    const expected: number[] = [];
    for (let i = 0; i < shape[0]!; i++)
      for (let j = 0; j < shape[1]!; j++)
        for (let k = 0; k < shape[2]!; k++) {
          const at = (axis: number): number => [i, j, k][order.indexOf(axis)]!;
          expected.push((at(0) * 3 + at(1)) * 4 + at(2));
        }
    expect([tensor.shape, toNumbers(tensor)]).toEqual([shape, expected]);
  });

  test.each([
    'Y2NvbGxlY3Rpb25zCk9yZGVyZWREaWN0CnAwCih0UnAxClZrCnAyCkkxCnMu',
    'gAJjY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcQApUnEBWAEAAABrcQJLAXMu',
    'gASVKQAAAAAAAACMC2NvbGxlY3Rpb25zlIwLT3JkZXJlZERpY3SUk5QpUpSMAWuUSwFzLg==',
  ])('OrderedDict %s', (text) => {
    expect(decodePickle(fromBase64(text), NOTHING)).toEqual(new Map([['k', 1]]));
  });

  test.each([
    'gAJjX19idWlsdGluX18KYnl0ZWFycmF5CnEAY19jb2RlY3MKZW5jb2RlCnEBWAIAAABhYnECWAYAAABsYXRpbjFxA4ZxBFJxBYVxBlJxBy4=',
    'gAWVDQAAAAAAAACWAgAAAAAAAABhYpQu',
  ])('bytearray %s', (text) => {
    expect([...(decodePickle(fromBase64(text), NOTHING) as Uint8Array)]).toEqual([97, 98]);
  });
});

describe('opcodes by hand', () => {
  test.each<[string, string, unknown]>([
    ['Python 2 str', "S'a\\x00\\'\\n\\\\'\n.", "a\0'\n\\"],
    ['SHORT_BINSTRING', 'U\x02\xff\x00.', '\xff\0'],
    ['BINSTRING', 'T\x03\x00\x00\x00abc.', 'abc'],
    ['LONG1 of no bytes', '\x8a\x00.', 0],
    ['LONG1 negative', '\x8a\x02\x00\x80.', -32768],
    ['LONG4', '\x8b\x02\x00\x00\x00\xff\x00.', 255],
    ['POP and DUP', 'K\x01K\x0202\x86.', [1, 1]],
    ['POP_MARK', 'K\x01(K\x02K\x031.', 1],
    ['POP of a mark', 'K\x01(0.', 1],
    ['DICT', '(K\x01K\x02d.', new Map([[1, 2]])],
    ['LONG_BINPUT', '\x5dr\xff\xff\xff\x7f0j\xff\xff\xff\x7f.', []],
    ['FRAME', '\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00K\x05.', 5],
    ['what follows is not read', 'K\x05.garbage', 5],
  ])('%s', (_, text, value) => {
    expect(decodePickle(spelt(text), NOTHING)).toEqual(value);
  });

  test('persistent ids and a class, as PyTorch writes storages', () => {
    const options: PickleOptions = {
      construct: (module, name) => (module === 'torch' && name === 'FloatStorage' ? () => 'made' : undefined),
      persistentLoad: (id) => ({ id }),
    };
    const value = decodePickle(spelt('\x80\x02(U\x07storagectorch\nFloatStorage\nU\x010tQ.'), options) as {
      id: unknown[];
    };
    expect(value.id[0]).toBe('storage');
    expect(value.id[1]).toMatchObject({ module: 'torch', name: 'FloatStorage' });
    expect(value.id[2]).toBe('0');
  });
});

describe('what is refused', () => {
  test.each([
    'Y3Bvc2l4CnN5c3RlbQpwMAooVmVjaG8gbm8KcDEKdHAyClJwMwou',
    'gAJjcG9zaXgKc3lzdGVtCnEAWAcAAABlY2hvIG5vcQGFcQJScQMu',
    'gASVIgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAdlY2hvIG5vlIWUUpQu',
  ])('os.system %s', (text) => {
    const error = failure(fromBase64(text));
    expect(error.code).toBe('E_UNSUPPORTED');
    expect(error.message).toContain('posix.system');
    expect(error.at).toBe('x.pkl');
  });

  test.each<[string, string, RegExp]>([
    ['no bytes', '', /1 more bytes expected at offset 0/],
    ['no STOP', 'K\x01', /1 more bytes expected/],
    ['nothing to return', '.', /stack is empty/],
    ['a huge string', '\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.', /more bytes expected/],
    ['a huge integer', '\x8b\xff\xff\xff\x7f.', /more bytes expected/],
    ['a long decimal', `I${'9'.repeat(5000)}\n.`, /5000 digits/],
    ['a memo entry that is not there', 'h\x07.', /memo entry 7/],
    ['an unknown opcode', '\x01.', /unknown opcode 0x01/],
    ['protocol 6', '\x80\x06.', /protocol 6/],
    ['append to a tuple', ')K\x01a.', /not a list/],
    ['a state on a number', 'K\x01K\x02b.', /takes none/],
    ['a call of a number', 'K\x01)R.', /neither a class/],
    ['no end of line', 'I12', /no end of the line/],
    ['invalid UTF-8', '\x8c\x01\xff.', /not a readable pickle/],
    ['a persistent id', 'Pabc\n.', /persistent ids/],
    ['pop below a mark', 'K\x01(\x85.', /stack is empty/],
  ])('%s', (_, text, message) => {
    expect(failure(spelt(text)).message).toMatch(message);
  });

  /** `count` times what a line makes of the text, list or dict that `make` puts into entry 0 of the memo. */
  const repeated = (make: string, line: string, count: number): Uint8Array =>
    spelt(`${make}q\x000](${line.repeat(count)}e.`);
  const text = `X\xa0\x86\x01\x00${'A'.repeat(100_000)}`;
  const list = `](${'N'.repeat(100_000)}e`;
  const pairs = `](${')K\x01K\x02\x86'.repeat(20_000).replaceAll(')', '')}e`;

  test.each<[string, Uint8Array]>([
    ['one text encoded again and again', repeated(text, 'c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R', 3000)],
    ['one list as many sets', repeated(list, 'c__builtin__\nset\nh\x00\x85R', 3000)],
    ['one list of pairs as many dicts', repeated(pairs, 'ccollections\nOrderedDict\nh\x00\x85R', 3000)],
    [
      'one text as many arrays',
      repeated(
        text,
        'cnumpy.core.multiarray\n_reconstruct\n)R(NJ\xa0\x86\x01\x00\x85cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85RNh\x00tb',
        3000,
      ),
    ],
    ['names of classes', repeated(text, 'h\x00h\x00\x93', 3000)],
    ['nothing but dicts', spelt(`(${'}'.repeat(2_000_000)}t.`)],
    ['nothing but lists', spelt(`(${']'.repeat(4_000_000)}t.`)],
    ['nothing but memo entries', spelt(`N${'\x94'.repeat(4_000_000)}.`)],
  ])('a bomb: %s', (_, bytes) => {
    const begin = process.cpuUsage();
    const error = failure(bytes, { construct: numpyConstructor, keepUnknown: true });
    expect(error.code).toBe('E_FORMAT');
    expect(error.message).toMatch(/claims more than \d+ MB of memory/);
    // Of the processor, since others may keep the machine busy.
    expect(process.cpuUsage(begin).user).toBeLessThan(8e6);
  });

  test('values that are endless as text', () => {
    // A list of two times a list of two times …
    const deep = `]${'q\x00(h\x00h\x00l'.repeat(60)}`;
    const error = failure(spelt(`${deep}q\x000c_codecs\nencode\nX\x01\x00\x00\x00ah\x00\x86R.`));
    expect(error.message).toContain('text encoded as a list of 2');
    expect(failure(spelt(`F${'1'.repeat(1_000_000)}x\n.`)).message).toContain('a number of 1000001 digits');
  });
});

test.each<[string, string, string, string, number[]]>([
  // [[1, 2, 3], [4, 5, 6]], column after column.
  ['Fortran order', 'u1', '|', '\x88U\x06\x01\x04\x02\x05\x03\x06', [1, 2, 3, 4, 5, 6]],
  ['big-endian', 'i2', '>', '\x89U\x0c\x00\x01\x00\x02\x00\x03\x01\x00\xff\xff\x00\x06', [1, 2, 3, 256, -1, 6]],
])('an array: %s', (_, type, order, data, expected) => {
  const state = `(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02${type}\x85R(K\x03U\x01${order}tb${data}tb`;
  const value = decodePickle(spelt(`cnumpy._core.multiarray\n_reconstruct\n)R${state}.`), {
    construct: numpyConstructor,
  }) as PickledArray;
  expect(value.tensor.shape).toEqual([2, 3]);
  expect(toNumbers(value.tensor)).toEqual(expected);
});

test.each([
  ['an axis twice', 'U\x01KK\x00K\x00\x86', 'E_FORMAT', /no permutation/],
  ['too few axes', 'U\x01KK\x00\x85', 'E_FORMAT', /no permutation/],
  ['no axes', 'U\x01K', 'E_FORMAT', /no permutation/],
  ['an axis that is not there', 'U\x01KK\x02K\x00\x86', 'E_FORMAT', /no permutation/],
  ['another order', 'U\x01A', 'E_UNSUPPORTED', /order "A", expected C, F or K/],
])('an array in an order that NumPy does not write: %s', (_, order, code, message) => {
  const array = `U\x04\x01\x02\x03\x04cnumpy\ndtype\nU\x02u1\x85RK\x02K\x02\x86${order}`;
  const error = failure(spelt(`cnumpy._core.numeric\n_frombuffer\n(${array}tR.`), { construct: numpyConstructor });
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test('an array of objects has no tensor', () => {
  const state = '(K\x01K\x01\x85cnumpy\ndtype\nU\x02O8\x85R\x89](K\x05etb';
  const value = decodePickle(spelt(`cnumpy._core.multiarray\n_reconstruct\n)R${state}.`), {
    construct: numpyConstructor,
  }) as PickledArray;
  expect(value.isNumeric).toBe(false);
  expect(() => value.tensor).toThrow('an array of NumPy type "O8"');
});

test('damaged pickles give a value or a BnnError, quickly', () => {
  const rng = new Rng(20);
  const sources = [...VALUES, ...ARRAYS].map(fromBase64);
  let refused = 0;
  const begin = performance.now();
  for (let round = 0; round < 6000; round++) {
    const source = sources[rng.below(sources.length)]!;
    let bytes: Uint8Array;
    if (rng.below(8) === 0) bytes = Uint8Array.from({ length: rng.below(300) }, () => rng.below(256));
    else bytes = source.slice(0, rng.below(4) === 0 ? rng.below(source.length) : source.length);
    for (let n = rng.below(6); n > 0 && bytes.length > 0; n--) bytes[rng.below(bytes.length)] = rng.below(256);
    try {
      decodePickle(bytes, { construct: numpyConstructor, persistentLoad: (id) => id });
    } catch (error) {
      if (!(error instanceof BnnError)) throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(1000);
  expect(performance.now() - begin).toBeLessThan(20_000);
});
