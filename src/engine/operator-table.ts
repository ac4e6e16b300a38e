/** What the engine runs, by `Node.type`. */

import { ELEMENTWISE } from './operators/elementwise.ts';
import { FLOAT_LAYERS } from './operators/float-layers.ts';
import { GENERIC } from './operators/generic.ts';
import { LAYER_OPERATORS } from './operators/layers.ts';
import { MOVEMENT } from './operators/movement.ts';
import { POOLING } from './operators/pooling.ts';
import type { Operator } from './step.ts';

export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...GENERIC,
  ...LAYER_OPERATORS,
  ...FLOAT_LAYERS,
  ...POOLING,
  ...ELEMENTWISE,
  ...MOVEMENT,
]);
