/** Whether a network is worth keeping. */

import type { Model } from '../../graph/model.ts';
import { findParameters } from '../program/parameters.ts';

/** The name of a parameter, running statistics included, that holds a number which is none; null where all are numbers. */
export function parameterWithoutNumber({ graph }: Model): string | null {
  for (const [{ constant }, { name }] of findParameters(graph)) {
    const { data } = constant ?? {};
    if (data instanceof Float32Array && !data.every(Number.isFinite)) return name;
  }
  return null;
}
