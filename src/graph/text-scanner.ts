/** Reads a text piece by piece; white space and comments (`#` to the end of the line) separate pieces. */

import { BnnError } from '../errors.ts';

const BLANK = /(?:\s|#[^\n]*)*/y;
const JSON_STRING = /"(?:[^"\\\n]|\\.)*"/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const INTEGER = /-?\d+/y;
/** What an error shows of the text that it did not expect. */
const NEXT_PIECE = /"(?:[^"\\\n]|\\.)*"?|[%@]?[A-Za-z0-9_.:]+|[^\s]/y;

/** A position in the text, for errors about something that was already read. */
export interface Mark {
  /** `line:column`, with the file's name when there is one. */
  readonly text: string;
  /** @throws {BnnError} E_FORMAT at this position. */
  fail(expected: string, found: string): never;
}

export class TextScanner {
  readonly #text: string;
  readonly #file: string | undefined;
  #offset = 0;

  /** @param file  name for messages. */
  constructor(text: string, file?: string) {
    this.#text = text;
    this.#file = file;
    this.#skipBlank();
  }

  get atEnd(): boolean {
    return this.#offset === this.#text.length;
  }

  /** Characters that are not read yet. */
  get remaining(): number {
    return this.#text.length - this.#offset;
  }

  /** The match of a sticky pattern here, which is then read; undefined when there is none. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text);
    if (found === null) return undefined;
    this.#offset += found[0].length;
    this.#skipBlank();
    return found;
  }

  /** Reads a piece of punctuation or a keyword when it comes next; a keyword must end there. */
  accept(piece: string): boolean {
    if (!this.#text.startsWith(piece, this.#offset)) return false;
    const following = this.#text[this.#offset + piece.length] ?? '';
    if (/\w$/.test(piece) && /\w/.test(following)) return false;
    this.#offset += piece.length;
    this.#skipBlank();
    return true;
  }

  /** @throws {BnnError} E_FORMAT when something else comes next; so do all the readers below. */
  expect(piece: string, description = `"${piece}"`): void {
    if (!this.accept(piece)) this.fail(description);
  }

  word(description: string): string {
    return this.match(WORD)?.[0] ?? this.fail(description);
  }

  integer(description: string): number {
    return Number(this.match(INTEGER)?.[0] ?? this.fail(description));
  }

  /** A string in JSON's notation; undefined when none comes next. */
  acceptString(): string | undefined {
    const begin = this.mark();
    const literal = this.match(JSON_STRING)?.[0];
    if (literal === undefined) return undefined;
    try {
      return String(JSON.parse(literal));
    } catch {
      return begin.fail('a string as in JSON', literal);
    }
  }

  string(description: string): string {
    return this.acceptString() ?? this.fail(description);
  }

  mark(): Mark {
    const offset = this.#offset;
    const position = (): string => this.#describe(offset);
    return {
      get text() {
        return position();
      },
      fail(expected, found) {
        throw new BnnError('E_FORMAT', `found ${found}, expected ${expected}`, { at: position() });
      },
    };
  }

  fail(expected: string, found = this.#next()): never {
    return this.mark().fail(expected, found);
  }

  #next(): string {
    if (this.atEnd) return 'the end of the text';
    NEXT_PIECE.lastIndex = this.#offset;
    return NEXT_PIECE.exec(this.#text)?.[0].slice(0, 40) ?? '';
  }

  #describe(offset: number): string {
    const before = this.#text.slice(0, offset);
    const line = before.split('\n').length;
    const position = `${line}:${offset - before.lastIndexOf('\n')}`;
    return this.#file === undefined ? `line ${position}` : `${this.#file}:${position}`;
  }

  #skipBlank(): void {
    BLANK.lastIndex = this.#offset;
    this.#offset += BLANK.exec(this.#text)?.[0].length ?? 0;
  }
}
