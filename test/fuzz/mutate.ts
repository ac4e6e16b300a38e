/** Damage as files meet it and as an attacker makes it: bits, lengths, repeated, removed and foreign pieces. */

import type { Rng } from '../../src/core/numbers/rng.ts';

/** Sizes and counts at which readers go wrong. */
const WORDS = [0, 1, 2, 7, 8, 9, 127, 128, 255, 256, 32767, 65535, 65536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/**
 * One to six edits of `bytes`, half of them in its first 600 bytes, where structure is.
 *
 * @param others  files that pieces are taken from.
 */
export function mutate(bytes: Uint8Array, rng: Rng, others: readonly Uint8Array[]): Uint8Array {
  let result = Buffer.from(bytes);
  for (let n = 1 + rng.below(6); n > 0; n--) {
    const within = rng.below(2) === 0 ? Math.min(result.length, 600) : result.length;
    const at = rng.below(within + 1);
    const insert = (piece: Uint8Array, replaced = 0): void => {
      result = Buffer.concat([result.subarray(0, at), piece, result.subarray(at + replaced)]);
    };
    switch (rng.below(9)) {
      case 0:
        insert(Uint8Array.of(rng.below(256)), 1);
        break;
      case 1:
        insert(Uint8Array.of((result[at] ?? 0) ^ (1 << rng.below(8))), 1);
        break;
      case 2:
        insert(new Uint8Array(), 1 + rng.below(32));
        break;
      case 3:
        insert(result.subarray(at, at + 1 + rng.below(64)));
        break;
      case 4:
        result = result.subarray(0, at);
        break;
      case 5: {
        const word = Buffer.alloc(4);
        const value = WORDS[rng.below(WORDS.length)]!;
        if (rng.below(2) === 0) word.writeUInt32LE(value);
        else word.writeUInt32BE(value);
        insert(word, 4);
        break;
      }
      case 6:
        insert(varint(WORDS[rng.below(WORDS.length)]!), 1);
        break;
      case 7: {
        const digits = String([-1, 0, 1e3, 999_999_999, 2 ** 53, Number.NaN, 1.5, -1536][rng.below(8)]);
        insert(Buffer.from(digits), digits.length);
        break;
      }
      default: {
        const other = others[rng.below(others.length)] ?? result;
        const from = rng.below(other.length + 1);
        insert(other.subarray(from, from + 1 + rng.below(200)), rng.below(2) * 50);
      }
    }
  }
  return Uint8Array.from(result);
}

/** As protobuf writes sizes. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Uint8Array.from([...bytes, rest]);
}
