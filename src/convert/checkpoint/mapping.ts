/** The mapping file: which layers the weights of a checkpoint belong to, in order. A checkpoint does not say what is done with them. */

import { describeValue } from '../../core/describe-value.ts';
import { parseJsonObject } from '../../core/formats/parse-json.ts';
import { nearest } from '../../core/nearest.ts';
import { BnnError } from '../../errors.ts';

/** What the signs of activations or weights give at 0: PyTorch's sign gives 0. */
export type ZeroRule = 'zero' | 'plus' | 'minus';

export type MappedLayer =
  | {
      readonly op: 'linear' | 'conv';
      readonly weight: string;
      readonly bias: string | null;
      /** Takes the sign of the weights. */
      readonly binary: boolean;
      /** What it gives at 0. */
      readonly zero: ZeroRule;
      /** Multiplies the result by mean|W|: of the whole layer, or per output. */
      readonly scale: 'none' | 'layer' | 'channel';
      readonly stride: number;
      /** `same`: so much that a stride of 1 keeps the size, more behind than in front when it is odd. */
      readonly pad: number | 'same';
      readonly dilation: number;
      readonly groups: number;
    }
  | {
      readonly op: 'batch-norm';
      /** `<prefix>.weight`, `.bias`, `.running_mean`, `.running_var`; without the first two, 1 and 0. */
      readonly prefix: string;
      readonly epsilon: number;
      /** Which of gamma and beta Keras left out, where three numbered variables do not tell. */
      readonly without: Without;
    }
  | { readonly op: 'sign'; readonly zero: ZeroRule }
  | { readonly op: 'affine'; readonly scale: number; readonly offset: number }
  | { readonly op: 'prelu'; readonly weight: string }
  /** `last`: an element's channels are neighbours in the result, as where the data have channels last. */
  | { readonly op: 'flatten'; readonly channels: 'first' | 'last' }
  | ({ readonly op: 'max-pool' } & PoolWindow)
  | ({
      readonly op: 'average-pool';
      /** Whether the zeros of the padding count as elements of the window. */
      readonly countPad: boolean;
    } & PoolWindow)
  | { readonly op: SimpleOperator };

interface PoolWindow {
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
}

/** Operators without parameters. */
export const SIMPLE_OPERATORS = {
  relu: 'Relu',
  tanh: 'Tanh',
  sigmoid: 'Sigmoid',
  hardtanh: 'Clip',
  'global-average-pool': 'GlobalAveragePool',
  softmax: 'Softmax',
  'log-softmax': 'LogSoftmax',
} as const;
export type SimpleOperator = keyof typeof SIMPLE_OPERATORS;

/** What a mapping need not say, because the framework that wrote the checkpoint always does it so. */
export interface Conventions {
  readonly zero: ZeroRule;
  readonly epsilon: number;
  readonly channels: 'first' | 'last';
  readonly countPad: boolean;
}

/** PyTorch's sign gives 0 at 0. */
export const PYTORCH: Conventions = { zero: 'zero', epsilon: 1e-5, channels: 'first', countPad: true };
/** Larq's quantizers give +1 at 0. */
export const KERAS: Conventions = { zero: 'plus', epsilon: 1e-3, channels: 'last', countPad: false };

export interface Mapping {
  /** Sizes of one input, without the batch: `[784]` or `[1, 28, 28]`. */
  readonly input: readonly number[];
  readonly layers: readonly MappedLayer[];
}

/** The tensors without which the network is not complete. */
export function namesOf({ layers }: Mapping): string[] {
  const names = new Set<string>();
  for (const layer of layers) {
    if (layer.op === 'batch-norm') names.add(`${layer.prefix}.running_mean`).add(`${layer.prefix}.running_var`);
    if ('weight' in layer) names.add(layer.weight);
    if ('bias' in layer && layer.bias !== null) names.add(layer.bias);
  }
  return [...names];
}

type Fields = Readonly<Record<string, unknown>>;

const OPERATORS = ['linear', 'conv', 'batch-norm', 'sign', 'affine', 'prelu', 'flatten', 'max-pool', 'average-pool'];
const WITHOUT = ['nothing', 'gamma', 'beta'] as const;
export type Without = (typeof WITHOUT)[number];
const ZERO_RULES = ['zero', 'plus', 'minus'] as const;

/**
 * Parses a mapping file.
 *
 * @throws {BnnError} E_FORMAT naming the field that is wrong.
 */
export function parseMapping(text: string, at?: string, conventions: Conventions = PYTORCH): Mapping {
  const { input, layers, ...others } = parseJsonObject(text, at);
  rejectUnknown(others, ['input', 'layers'], 'the mapping', at);
  const isInput =
    Array.isArray(input) && input.length > 0 && input.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!isInput) {
    throw new BnnError('E_FORMAT', `"input" is ${describeValue(input)}, expected sizes such as [1, 28, 28]`, { at });
  }
  if (!Array.isArray(layers) || layers.length === 0) {
    throw new BnnError('E_FORMAT', '"layers" is no list of layers', { at });
  }
  return { input: input as number[], layers: layers.map((layer, i) => parseLayer(layer, i, at, conventions)) };
}

function parseLayer(layer: unknown, index: number, at: string | undefined, conventions: Conventions): MappedLayer {
  const where = `layer ${index + 1}`;
  if (!isFields(layer) || typeof layer['op'] !== 'string') {
    throw new BnnError('E_FORMAT', `${where} has no "op"`, { at });
  }
  const { op, ...fields } = layer;
  const reader = new FieldReader(fields, `${where} (${String(op)})`, at);
  const result = readLayer(String(op), reader, conventions);
  reader.finish();
  return result;
}

function readLayer(op: string, read: FieldReader, conventions: Conventions): MappedLayer {
  switch (op) {
    case 'linear':
    case 'conv':
      return {
        op,
        weight: read.text('weight'),
        bias: read.has('bias') ? read.text('bias') : null,
        binary: read.truth('binary', false),
        zero: read.choice('zero', ZERO_RULES, conventions.zero),
        scale: read.choice('scale', ['none', 'layer', 'channel'] as const, 'none'),
        stride: op === 'conv' ? read.whole('stride', 1, 1) : 1,
        pad: op === 'conv' ? read.padding('pad') : 0,
        dilation: op === 'conv' ? read.whole('dilation', 1, 1) : 1,
        groups: op === 'conv' ? read.whole('groups', 1, 1) : 1,
      };
    case 'batch-norm':
      return {
        op,
        prefix: read.text('prefix'),
        epsilon: read.notNegative('epsilon', conventions.epsilon),
        without: read.choice('without', WITHOUT, 'nothing'),
      };
    case 'sign':
      return { op, zero: read.choice('zero', ZERO_RULES, conventions.zero) };
    case 'affine':
      return { op, scale: read.number('scale', 1), offset: read.number('offset', 0) };
    case 'prelu':
      return { op, weight: read.text('weight') };
    case 'flatten':
      return { op, channels: read.choice('channels', ['first', 'last'] as const, conventions.channels) };
    case 'max-pool':
    case 'average-pool': {
      const kernel = read.whole('kernel', 1);
      const window = { kernel, stride: read.whole('stride', 1, kernel), pad: read.whole('pad', 0, 0) };
      if (op === 'max-pool') return { op, ...window };
      return { op, ...window, countPad: read.truth('countPad', conventions.countPad) };
    }
    default:
      if (Object.hasOwn(SIMPLE_OPERATORS, op)) return { op: op as SimpleOperator };
      throw read.unknownOperator(op);
  }
}

class FieldReader {
  readonly #fields: Fields;
  readonly #where: string;
  readonly #at: string | undefined;
  readonly #read = new Set<string>();

  constructor(fields: Fields, where: string, at: string | undefined) {
    this.#fields = fields;
    this.#where = where;
    this.#at = at;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name) && this.#fields[name] !== null;
  }

  text(name: string): string {
    const value = this.#take(name);
    if (typeof value === 'string' && value !== '') return value;
    throw this.#failure(name, value, 'a name of the checkpoint');
  }

  number(name: string, fallback?: number): number {
    const value = this.#take(name) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.#failure(name, value, 'a number');
  }

  notNegative(name: string, fallback: number): number {
    const value = this.number(name, fallback);
    if (value >= 0) return value;
    throw this.#failure(name, value, 'a number of 0 or more');
  }

  whole(name: string, least: number, fallback?: number): number {
    const value = this.#take(name) ?? fallback;
    if (isWhole(value, least)) return value;
    throw this.#failure(name, value, `a whole number of ${least} or more`);
  }

  padding(name: string): number | 'same' {
    const value = this.#take(name) ?? 0;
    if (value === 'same' || isWhole(value, 0)) return value;
    throw this.#failure(name, value, 'a whole number of 0 or more, or "same"');
  }

  choice<C extends string>(name: string, choices: readonly C[], fallback: C): C {
    const value = this.#take(name) ?? fallback;
    // true and false need no quotes.
    const text = typeof value === 'boolean' ? String(value) : value;
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    throw this.#failure(name, value, choices.join(' or '));
  }

  truth(name: string, fallback: boolean): boolean {
    return this.choice(name, ['false', 'true'] as const, fallback ? 'true' : 'false') === 'true';
  }

  unknownOperator(op: string): BnnError {
    const known = [...OPERATORS, ...Object.keys(SIMPLE_OPERATORS)];
    const near = nearest(op, known);
    return new BnnError('E_FORMAT', `${this.#where}: unknown op`, {
      at: this.#at,
      hint: `${near === undefined ? '' : `did you mean ${near}? `}known: ${known.join(', ')}`,
    });
  }

  /** Refuses fields that nothing read. */
  finish(): void {
    const others = Object.fromEntries(Object.entries(this.#fields).filter(([name]) => !this.#read.has(name)));
    rejectUnknown(others, [...this.#read], this.#where, this.#at);
  }

  #take(name: string): unknown {
    this.#read.add(name);
    return this.has(name) ? this.#fields[name] : undefined;
  }

  #failure(name: string, found: unknown, expected: string): BnnError {
    const text = found === undefined ? 'missing' : describeValue(found);
    return new BnnError('E_FORMAT', `${this.#where}: "${name}" is ${text}, expected ${expected}`, { at: this.#at });
  }
}

function rejectUnknown(others: Fields, known: readonly string[], where: string, at: string | undefined): void {
  const [name] = Object.keys(others);
  if (name === undefined) return;
  throw new BnnError('E_FORMAT', `${where} has an unknown field "${name}"`, { at, hint: `known: ${known.join(', ')}` });
}

function isWhole(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
