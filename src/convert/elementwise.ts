/** Operators that work element by element. */

import { operatorsWith } from '../operators/operator-facts.ts';

/** Of one value; further inputs are single numbers. */
export const UNARY: readonly string[] = operatorsWith(({ elementwise }) => elementwise === 'one');

/** Of several values that are broadcast against each other. */
export const BROADCASTING: readonly string[] = operatorsWith(({ elementwise }) => elementwise === 'several');
