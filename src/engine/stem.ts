/** The float stem of a network and its pooling as one step, by Winograd's filtering: with a quarter of the products, equal but for rounding. */

import { BnnError } from '../errors.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { type FloatStem, floatStemOf } from '../rewriting/layers/float-stem.ts';
import type { Engine, Pointer } from './engine-module.ts';
import { checkLayerShape, checkPlane, type LayerShape } from './layer.ts';

/** A module has addresses for twice as much. */
const MOST_BYTES = 2 ** 31;

/** By the last node of each. */
export function stemsOf(graph: Graph): ReadonlyMap<Node, FloatStem> {
  const byFirst = new Map<Node | undefined, FloatStem>();
  // Longer ones come later.
  for (const node of graph.nodes()) {
    const stem = floatStemOf(node);
    if (stem !== null) byFirst.set(stem.nodes[0], stem);
  }
  const entries = Array.from(byFirst.values(), (stem) => [stem.nodes.at(-1) as Node, stem] as const);
  return new Map(entries);
}

/** A stem that runs. */
export class StemLayer {
  readonly shape: LayerShape;
  readonly #engine: Engine;
  readonly #pointer: Pointer;

  /** @throws {BnnError} E_SHAPE when the kernels do not take it, E_BACKEND without memory. */
  constructor(engine: Engine, stem: FloatStem, at: string) {
    const { kernel, pads, channels, outputs, poolPads, relu, least } = stem;
    this.shape = { kernel, strides: [2, 2], pads, dilations: [1, 1], groups: 1, channels, outputs };
    checkLayerShape(this.shape, at);
    this.#engine = engine;
    const numbers = [
      Int32Array.from([...kernel, 2, 2, ...pads, 1, 1, 1, channels, outputs]),
      Int32Array.from([...poolPads.slice(2), relu ? 1 : 0, ...least.map(Number)]),
      stem.weights,
      ...[stem.bias, stem.scale, stem.shift].map((vector) => (vector.length > 0 ? vector : null)),
    ];
    const copies = numbers.map((values) => (values === null ? 0 : engine.copyIn(values)));
    const [shape = 0, facts = 0, weights = 0, bias = 0, scale = 0, shift = 0] = copies;
    this.#pointer = engine.calls.stem(shape, facts, weights, bias, scale, shift);
    for (const copy of copies) if (copy !== 0) engine.calls.free(copy);
  }

  /** @throws {BnnError} E_SHAPE for pictures whose tiles would take more memory than a module has addresses for. */
  checkPicture(height: number, width: number, at: string): void {
    checkPlane(this.shape, height, width, at);
    const [top = 0, left = 0, bottom = 0, right = 0] = this.shape.pads;
    // As in StemLayout: rows and columns modulo 8, and what is kept of the tiles of 48 rows of the picture.
    const [rows, columns] = [Math.ceil((height + top + bottom) / 8) + 2, Math.ceil((width + left + right) / 8) + 2];
    const planes = 64 * this.shape.channels * (rows * columns + 64);
    const maxima = 9 * (this.shape.outputs + 8) * (8 * columns + 512);
    if (4 * (planes + maxima) <= MOST_BYTES) return;
    throw new BnnError('E_SHAPE', `a picture of ${height} x ${width} is more than the fast stem takes`, {
      at,
      hint: 'leave the option fastStem (--fast-stem) out',
    });
  }

  /** x f32[batch, channels, height, width]; y f32[batch, outputs, …], where an output of one picture has `outSize` elements. */
  run(
    size: { readonly batch: number; readonly height: number; readonly width: number; readonly outSize: number },
    x: Pointer,
    y: Pointer,
  ): void {
    const { batch, height, width, outSize } = size;
    if (outSize > 0) this.#engine.calls.stemRun(this.#pointer, batch, height, width, x, outSize, y);
  }
}
