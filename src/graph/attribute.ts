/** Node attributes: the ONNX kinds this project handles, as a discriminated union. */

import type { Tensor } from '../core/tensors/tensor.ts';

export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  /** Only inside a function body: the attribute `name` of the calling node, which is of kind `of`. */
  | { readonly kind: 'reference'; readonly name: string; readonly of: AttributeKind };

/** The JavaScript value of each kind. */
export interface AttributeValues {
  int: number;
  float: number;
  string: string;
  tensor: Tensor;
  ints: readonly number[];
  floats: readonly number[];
  strings: readonly string[];
}

export type AttributeKind = keyof AttributeValues;

export type Attributes = Readonly<Record<string, Attribute>>;

export const int = (value: number): Attribute => ({ kind: 'int', value });
/** Rounded to float32, which is what a file holds: a model must compute the same before and after it was saved. */
export const float = (value: number): Attribute => ({ kind: 'float', value: Math.fround(value) });
export const string = (value: string): Attribute => ({ kind: 'string', value });
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
export const floats = (value: readonly number[]): Attribute => ({ kind: 'floats', value });
export const tensorAttribute = (value: Tensor): Attribute => ({ kind: 'tensor', value });
export const reference = (name: string, of: AttributeKind): Attribute => ({ kind: 'reference', name, of });
