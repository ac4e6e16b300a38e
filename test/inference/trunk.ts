import type { Model } from '../../src/graph/model.ts';

/**
 * Ends a network where its global average begins, in place; a network without one stays whole. What comes then is of floats, and
 * onnxruntime adds them in the order of the layout that its optimizer chose: their sums are equal up to rounding only.
 *
 * @returns the name of the output.
 */
export function endAtGlobalAverage({ graph }: Model): string {
  const pool = [...graph.nodes()].find(({ op }) => op === 'GlobalAveragePool');
  if (pool !== undefined) (graph.outputs as unknown[])[0] = pool.requiredInput(0);
  return graph.outputs[0]!.name;
}
