/** The textual literals of pickle protocol 0, and its long integers. */

/** Longest number that is converted, in bytes or digits: far beyond any size or seed, and conversion is not linear. */
const LONGEST_NUMBER = 1024;

/** INT (`12`, `01` = True, `00` = False), LONG (`12L`) and FLOAT. */
export function parseAsciiNumber(text: string, kind: 'int' | 'float'): number | bigint | boolean {
  if (text.length > LONGEST_NUMBER) throw new Error(`a number of ${text.length} digits`);
  if (kind === 'float') {
    const special = /^([+-]?)(inf|nan)$/.exec(text);
    if (special !== null) return special[2] === 'nan' ? Number.NaN : special[1] === '-' ? -Infinity : Infinity;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new Error(`"${clip(text)}" is not a number`);
    return Number(text);
  }
  if (text === '00' || text === '01') return text === '01';
  const digits = /^\s*([+-]?)(\d+)L?\s*$/.exec(text);
  if (digits === null) throw new Error(`"${clip(text)}" is not an integer`);
  const magnitude = BigInt(digits[2] ?? '0');
  return toNumber(digits[1] === '-' ? -magnitude : magnitude);
}

/** LONG1 and LONG4: little-endian two's complement of any length. */
export function signedInteger(bytes: Uint8Array): number | bigint {
  if (bytes.length > LONGEST_NUMBER) throw new Error(`an integer of ${bytes.length} bytes`);
  const hex = Buffer.from(bytes).reverse().toString('hex');
  return toNumber(BigInt.asIntN(8 * bytes.length, BigInt(`0x0${hex}`)));
}

function toNumber(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** STRING: a Python 2 string literal in quotes, to one character for each byte. */
export function parseQuoted(text: string): string {
  const literal = text.trim();
  const quote = literal[0];
  if (literal.length < 2 || (quote !== "'" && quote !== '"') || !literal.endsWith(quote)) {
    throw new Error(`"${clip(literal)}" is not a quoted string`);
  }
  return literal.slice(1, -1).replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)/gs, (_, code: string) => {
    if (code.length === 3 && code.startsWith('x')) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff);
    const simple = SIMPLE_ESCAPES[code];
    if (simple !== undefined) return simple;
    return code === '\\' || code === "'" || code === '"' ? code : `\\${code}`;
  });
}

/** UNICODE: latin-1 with `\uXXXX` and `\UXXXXXXXX` escapes (Python's raw-unicode-escape). */
export function parseRawUnicode(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, short?: string, long?: string) =>
    String.fromCodePoint(Number.parseInt(short ?? long ?? '', 16)),
  );
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
