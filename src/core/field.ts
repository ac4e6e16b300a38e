/** Fields of a table of settings: type, default, what is allowed and what the help says of each, written once. */

import { BnnError } from '../errors.ts';
import { nearest } from './nearest.ts';

interface Described {
  readonly help: string;
  /** Shown under "Common options" in the help. */
  readonly common?: true;
}

export interface TextField extends Described {
  readonly kind: 'string';
  readonly default: string;
  /** What the option's value is called in the help. */
  readonly value: string;
}

export interface ChoiceField<C extends string = string> extends Described {
  readonly kind: 'choice';
  readonly default: C;
  readonly choices: readonly C[];
}

export interface FlagField extends Described {
  readonly kind: 'flag';
  readonly default: boolean;
}

export interface NumberField extends Described {
  readonly kind: 'integer' | 'number';
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export type Field = TextField | ChoiceField | FlagField | NumberField;
export type Fields = Readonly<Record<string, Field>>;

/** The type of a field's value. */
type ValueOf<F> =
  F extends ChoiceField<infer C> ? C : F extends FlagField ? boolean : F extends NumberField ? number : string;

/** One value a field. */
export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** No upper limit. */
export const MAX = Number.MAX_SAFE_INTEGER;

export function integer(fallback: number, min: number, max: number, help: string): NumberField {
  return { kind: 'integer', default: fallback, min, max, help };
}

export function number(fallback: number, min: number, max: number, help: string): NumberField {
  return { kind: 'number', default: fallback, min, max, help };
}

/** The choice '' is "none of them", and does not stand in the help. */
export function choice<const C extends string>(
  choices: readonly C[],
  fallback: NoInfer<C>,
  help: string,
): ChoiceField<C> {
  return { kind: 'choice', default: fallback, choices, help };
}

export function flag(fallback: boolean, help: string): FlagField {
  return { kind: 'flag', default: fallback, help };
}

/** @param value  what the option's value is called in the help. */
export function text(fallback: string, value: string, help: string): TextField {
  return { kind: 'string', default: fallback, value, help };
}

/** @throws {BnnError} E_USAGE that says what was found and what is allowed. */
export function checkField(name: string, field: Field, value: unknown, at?: string): void {
  const fail = (expected: string, hint?: string): never => {
    throw new BnnError('E_USAGE', `${name} is ${JSON.stringify(value)}, expected ${expected}`, { at, hint });
  };
  switch (field.kind) {
    case 'string':
      if (typeof value !== 'string') fail('text');
      return;
    case 'flag':
      if (typeof value !== 'boolean') fail('true or false');
      return;
    case 'choice':
      if (typeof value !== 'string' || !field.choices.includes(value)) {
        const near = typeof value === 'string' ? nearest(value, field.choices) : undefined;
        fail(
          `one of ${field.choices.filter((c) => c !== '').join(', ')}`,
          near === undefined ? undefined : `did you mean "${near}"?`,
        );
      }
      return;
    case 'integer':
    case 'number': {
      const fits = typeof value === 'number' && value >= field.min && value <= field.max;
      const range = field.max === MAX ? `of at least ${field.min}` : `between ${field.min} and ${field.max}`;
      if (!fits || (field.kind === 'integer' && !Number.isInteger(value))) {
        fail(`${field.kind === 'integer' ? 'a whole number' : 'a number'} ${range}`);
      }
      return;
    }
    default:
      field satisfies never;
  }
}
