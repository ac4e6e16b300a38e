/** Transpositions of matrices. */

import { type Attributes, ints } from '../../../graph/attribute.ts';

export const SWAP: Attributes = { perm: ints([1, 0]) };
