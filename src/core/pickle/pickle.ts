/**
 * Reads Python pickles, protocols 0 to 5 (opcodes: the module `pickletools` of the Python standard library; PEP 307, 3154, 574)
 * as data: nothing is executed, and of classes and functions only those that the caller knows how to construct are accepted.
 *
 * Python            here
 * None, bool        null, boolean
 * int               number, or bigint beyond ±2^53
 * float, str        number, string
 * bytes, bytearray  Uint8Array, a view of the file
 * str of Python 2   string with one character for each byte (`encoding='latin1'` in Python 3)
 * list, tuple       array; a tuple's is frozen
 * dict, OrderedDict Map
 * set, frozenset    Set
 */

import { BnnError } from '../../errors.ts';
import { ByteReader } from '../formats/byte-reader.ts';
import type { MemoryBudget } from '../formats/memory-budget.ts';
import { builtinConstructor, type PickleConstructor } from './pickle-builtins.ts';
import { COST, pickleBudget, sizeOf } from './pickle-cost.ts';
import { latin1, readLiteral, utf8 } from './pickle-literals.ts';

export interface PickleOptions {
  /** The allow-list, beyond the types above and OrderedDict: how to build what `module.name(...)` gives; undefined refuses. */
  readonly construct: (module: string, name: string) => PickleConstructor | undefined;
  /** What is made of a class that is not on the allow-list becomes a `PickledUnknown`; otherwise such pickles are refused. */
  readonly keepUnknown?: boolean | undefined;
  /** What stands for a persistent id (PyTorch: the bytes of a storage); without it such pickles are refused. */
  readonly persistentLoad?: ((id: unknown) => unknown) | undefined;
  /** Of the file that the pickle is part of; by default one for the pickle alone. */
  readonly budget?: MemoryBudget | undefined;
  /** The file's name, for messages. */
  readonly at?: string | undefined;
}

/** A constructed value that takes a state (Python's `__setstate__`) implements this. */
export interface PickleStateful {
  setState(state: unknown): void;
}

/** What a pickle makes of a class that nobody here knows: nothing, whatever is put into it. */
export class PickledUnknown implements PickleStateful {
  /** Of the class, with its module. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  setState(): void {}
}

/** A class or function, as it appears inside values (in a persistent id, as an argument). */
export class PickleGlobal {
  readonly module: string;
  readonly name: string;
  readonly construct: PickleConstructor;

  constructor(module: string, name: string, construct: PickleConstructor) {
    this.module = module;
    this.name = name;
    this.construct = construct;
  }
}

/**
 * Decodes the first pickle in `bytes`; what follows it is not read.
 *
 * @throws {BnnError} E_FORMAT for damaged bytes (with the offset) and for more objects than the budget allows, E_UNSUPPORTED for a class
 *   that is not on the allow-list.
 * Cost: linear in the bytes read and the budget, where the caller's constructors are linear in their arguments.
 */
export function decodePickle(bytes: Uint8Array, options: PickleOptions): unknown {
  const machine = new PickleMachine(bytes, options);
  try {
    return machine.run();
  } catch (error) {
    if (error instanceof BnnError) {
      if (error.at !== undefined || options.at === undefined) throw error;
      throw new BnnError(error.code, error.message, { at: options.at, hint: error.hint, cause: error });
    }
    const text = error instanceof Error ? error.message : String(error);
    throw new BnnError('E_FORMAT', `not a readable pickle: ${text}`, { at: options.at, cause: error });
  }
}

class PickleMachine {
  readonly #options: PickleOptions;
  readonly #budget: MemoryBudget;
  readonly #reader: ByteReader;
  readonly #memo = new Map<number, unknown>();
  /** Heights of the stack at the open marks. */
  readonly #marks: number[] = [];
  #stack: unknown[] = [];

  constructor(bytes: Uint8Array, options: PickleOptions) {
    this.#options = options;
    this.#budget = options.budget ?? pickleBudget(bytes.length);
    this.#reader = new ByteReader(bytes, options.at);
  }

  run(): unknown {
    for (;;) {
      const opcode = this.#reader.uint8();
      if (opcode === 0x2e) return this.#pop(); // STOP
      const literal = readLiteral(opcode, this.#reader);
      if (literal !== undefined) this.#push(literal);
      else if (!this.#container(opcode) && !this.#object(opcode)) {
        throw this.#failure(`unknown opcode 0x${opcode.toString(16).padStart(2, '0')}`);
      }
    }
  }

  /** Opcodes that handle the stack, the memo and the built-in containers. */
  #container(opcode: number): boolean {
    const reader = this.#reader;
    switch (opcode) {
      case 0x28: // MARK
        this.#budget.charge(COST.value);
        this.#marks.push(this.#stack.length);
        return true;
      case 0x30: // POP, which also removes a mark
        if (this.#stack.length === this.#marks.at(-1)) this.#marks.pop();
        else this.#pop();
        return true;
      case 0x31: // POP_MARK
        this.#popMark();
        return true;
      case 0x32: // DUP
        return this.#again(this.#top());
      case 0x67: // GET
        return this.#again(this.#recall(Number(latin1(reader.line()))));
      case 0x68: // BINGET
        return this.#again(this.#recall(reader.uint8()));
      case 0x6a: // LONG_BINGET
        return this.#again(this.#recall(reader.uint32()));
      case 0x70: // PUT
        return this.#remember(Number(latin1(reader.line())));
      case 0x71: // BINPUT
        return this.#remember(reader.uint8());
      case 0x72: // LONG_BINPUT
        return this.#remember(reader.uint32());
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x29: // EMPTY_TUPLE
        return this.#push(Object.freeze([]));
      case 0x85: // TUPLE1, TUPLE2, TUPLE3
      case 0x86:
      case 0x87:
        return this.#push(Object.freeze(this.#popMany(opcode - 0x84)));
      case 0x74: // TUPLE
        return this.#push(Object.freeze(this.#popMark()));
      case 0x5d: // EMPTY_LIST
        return this.#push([]);
      case 0x6c: // LIST
        return this.#push(this.#popMark());
      case 0x61: // APPEND
        return this.#append(this.#popMany(1));
      case 0x65: // APPENDS
        return this.#append(this.#popMark());
      case 0x7d: // EMPTY_DICT
        return this.#push(new Map());
      case 0x64: {
        const items = this.#popMark(); // DICT
        return this.#push(new Map()) && this.#setItems(items);
      }
      case 0x73: // SETITEM
        return this.#setItems(this.#popMany(2));
      case 0x75: // SETITEMS
        return this.#setItems(this.#popMark());
      case 0x8f: // EMPTY_SET
        return this.#push(new Set());
      case 0x91: // FROZENSET
        return this.#push(new Set(this.#popMark()));
      case 0x90: {
        const items = this.#popMark(); // ADDITEMS
        const set = this.#top();
        if (set instanceof PickledUnknown) return true;
        if (!(set instanceof Set)) throw this.#failure('items are added to what is not a set');
        this.#budget.charge(COST.entry * items.length);
        for (const item of items) set.add(item);
        return true;
      }
      default:
        return false;
    }
  }

  /** Opcodes about the protocol, classes and objects. */
  #object(opcode: number): boolean {
    const reader = this.#reader;
    switch (opcode) {
      case 0x80: {
        const protocol = reader.uint8(); // PROTO
        if (protocol > 5) throw this.#unsupported(`protocol ${protocol}, only 0 to 5 are read`);
        return true;
      }
      case 0x95: // FRAME: only a hint about buffering
        reader.uint64();
        return true;
      case 0x63: // GLOBAL
        return this.#push(this.#global(utf8.decode(reader.line()), utf8.decode(reader.line())));
      case 0x93: {
        const [module, name] = this.#popMany(2); // STACK_GLOBAL
        return this.#push(this.#global(module, name));
      }
      case 0x52: // REDUCE
      case 0x81: {
        const [callee, args] = this.#popMany(2); // NEWOBJ
        return this.#push(this.#call(callee, args));
      }
      case 0x92: {
        const [callee, args, keywords] = this.#popMany(3); // NEWOBJ_EX
        const made = this.#call(callee, args);
        const isPlain = keywords instanceof Map && keywords.size === 0;
        if (!isPlain && !(made instanceof PickledUnknown)) throw this.#unsupported('an object made with keywords');
        return this.#push(made);
      }
      case 0x69: {
        const callee = this.#global(utf8.decode(reader.line()), utf8.decode(reader.line())); // INST
        return this.#push(this.#call(callee, this.#popMark()));
      }
      case 0x6f: {
        const [callee, ...args] = this.#popMark(); // OBJ
        return this.#push(this.#call(callee, args));
      }
      case 0x62: // BUILD
        return this.#build(this.#pop());
      case 0x50: // PERSID
        return this.#push(this.#persistent(latin1(reader.line())));
      case 0x51: // BINPERSID
        return this.#push(this.#persistent(this.#pop()));
      case 0x98: // READONLY_BUFFER: the value stays the same
        this.#top();
        return true;
      case 0x97: // NEXT_BUFFER
        throw this.#unsupported('buffers outside the pickle');
      case 0x82: // EXT1, EXT2, EXT4
      case 0x83:
      case 0x84:
        throw this.#unsupported('codes of the extension registry');
      default:
        return false;
    }
  }

  /** Every value that is made comes by here, whole. */
  #push(value: unknown): true {
    this.#budget.charge(COST.value + sizeOf(value));
    this.#stack.push(value);
    return true;
  }

  /** A value that is there already. */
  #again(value: unknown): true {
    this.#budget.charge(COST.value);
    this.#stack.push(value);
    return true;
  }

  #popMany(count: number): unknown[] {
    this.#expect(count);
    return this.#stack.splice(this.#stack.length - count);
  }

  #pop(): unknown {
    this.#expect(1);
    return this.#stack.pop();
  }

  #top(): unknown {
    this.#expect(1);
    return this.#stack.at(-1);
  }

  /** So many values above the last mark. */
  #expect(count: number): void {
    if (this.#stack.length - (this.#marks.at(-1) ?? 0) < count) throw this.#failure('the stack is empty');
  }

  #popMark(): unknown[] {
    const height = this.#marks.pop();
    if (height === undefined) throw this.#failure('no mark on the stack');
    return this.#stack.splice(height);
  }

  #remember(index: number): true {
    this.#budget.charge(COST.entry);
    this.#memo.set(index, this.#top());
    return true;
  }

  #recall(index: number): unknown {
    if (!this.#memo.has(index)) throw this.#failure(`memo entry ${index} was never stored`);
    return this.#memo.get(index);
  }

  #append(items: readonly unknown[]): true {
    const list = this.#top();
    if (list instanceof PickledUnknown) return true;
    if (!Array.isArray(list) || Object.isFrozen(list)) throw this.#failure('items are appended to what is not a list');
    this.#budget.charge(COST.value * items.length);
    for (const item of items) list.push(item);
    return true;
  }

  #setItems(items: readonly unknown[]): true {
    const map = this.#top();
    if (map instanceof PickledUnknown) return true;
    if (!(map instanceof Map)) throw this.#failure('items are set in what is not a dict');
    if (items.length % 2 !== 0) throw this.#failure('a key without a value');
    this.#budget.charge((COST.entry * items.length) / 2);
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
    return true;
  }

  #global(module: unknown, name: unknown): PickleGlobal {
    if (typeof module !== 'string' || typeof name !== 'string')
      throw this.#failure('a class whose name is not a string');
    this.#budget.charge(module.length + name.length);
    const construct = this.#options.construct(module, name) ?? builtinConstructor(module, name);
    if (construct !== undefined) return new PickleGlobal(module, name, this.#charged(construct));
    const fullName = `${module}.${name}`;
    if (this.#options.keepUnknown === true) {
      return new PickleGlobal(module, name, () => new PickledUnknown(fullName));
    }
    throw new BnnError('E_UNSUPPORTED', `the pickle refers to ${fullName}, which is not on the allow-list`, {
      at: this.#options.at,
      hint: 'pickles can run code when Python loads them; this reader accepts only plain data and arrays',
    });
  }

  /** Whoever calls it, and however often with the same arguments. */
  #charged(construct: PickleConstructor): PickleConstructor {
    return (args) => {
      this.#chargeItems(args);
      return construct(args);
    };
  }

  /** The sizes of the arguments of a call, or of the items of a state: what may be copied. */
  #chargeItems(items: unknown): void {
    this.#budget.charge(sizeOf(items));
    if (Array.isArray(items)) for (const item of items as unknown[]) this.#budget.charge(sizeOf(item));
  }

  #call(callee: unknown, args: unknown): unknown {
    if (callee instanceof PickledUnknown) return callee;
    if (!(callee instanceof PickleGlobal)) throw this.#failure('a call of what is neither a class nor a function');
    if (!Array.isArray(args)) throw this.#failure(`${callee.module}.${callee.name} is called without a tuple`);
    return callee.construct(args);
  }

  #build(state: unknown): true {
    const object = this.#top();
    this.#chargeItems(state);
    if (isStateful(object)) object.setState(state);
    // A dict subclass (OrderedDict) may carry attributes; only its items matter here.
    else if (!(object instanceof Map)) throw this.#failure('a state is set on what takes none');
    return true;
  }

  #persistent(id: unknown): unknown {
    if (this.#options.persistentLoad === undefined) throw this.#unsupported('persistent ids');
    return this.#options.persistentLoad(id);
  }

  #failure(message: string): BnnError {
    const text = `not a readable pickle: ${message}, before offset ${this.#reader.offset}`;
    return new BnnError('E_FORMAT', text, { at: this.#options.at });
  }

  #unsupported(what: string): BnnError {
    return new BnnError('E_UNSUPPORTED', `the pickle uses ${what}`, { at: this.#options.at });
  }
}

function isStateful(value: unknown): value is PickleStateful {
  return typeof value === 'object' && value !== null && 'setState' in value && typeof value.setState === 'function';
}
