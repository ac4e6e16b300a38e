/** A recipe as its parts see it. Apart from `recipe.ts`, which knows all there is to choose from. */

import type { Fields, ValuesOf } from '../../core/field.ts';

/** The fields alone, for those who have fields of their own among them. */
export function valuesOf({ plugins: _, ...values }: { readonly plugins?: unknown }): ValuesOf<Fields> {
  return values as ValuesOf<Fields>;
}
