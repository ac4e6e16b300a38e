/**
 * How much may be computed of constants. A file of a few bytes may ask for tensors of any size (`Concat(x, x)` thirty times), so the
 * measure is what the file itself holds; expressions beyond it stay in the graph, where the runtime computes them.
 */

import type { TensorData } from '../core/tensor.ts';
import type { Graph } from '../graph/graph.ts';

/** Elements that any file may ask for. */
const FREE_ELEMENTS = 2 ** 20;
/** Elements for each one in the file: bits in bytes become 8 numbers, and there are two copies while one is made of the other. */
const GROWTH = 16;
/** A large file may not grow so much: by this many elements, and to twice its size. */
const LARGE_ELEMENTS = 2 ** 25;
const LARGE_GROWTH = 2;
/** Elements read and written by folds, and by looking through what is not folded, which many rewrites do again and again. */
const FOLD_WORK = { free: 2 ** 26, perElement: 2 ** 8 };
const LOOK_WORK = { free: 2 ** 27, perElement: 2 ** 12 };

export class FoldBudget {
  /** Elements that one result may have. */
  readonly maxElements: number;
  readonly #graph: Graph;
  readonly #maxConstants: number;
  #foldWork: number;
  #lookWork: number;

  /** @param graph  before anything of it is folded. */
  constructor(graph: Graph) {
    const stored = new Set<TensorData>();
    for (const { constant } of graph.constants()) stored.add(constant.data);
    let elements = 0;
    for (const { length } of stored) elements += length;
    this.maxElements = Math.min(FREE_ELEMENTS + GROWTH * elements, LARGE_ELEMENTS + LARGE_GROWTH * elements);
    this.#graph = graph;
    this.#maxConstants = graph.constantElements + this.maxElements;
    this.#foldWork = FOLD_WORK.free + FOLD_WORK.perElement * elements;
    this.#lookWork = LOOK_WORK.free + LOOK_WORK.perElement * elements;
  }

  /** Whether a constant of so many elements may join those of the graph. */
  holds(elements: number): boolean {
    return this.#graph.constantElements + elements <= this.#maxConstants;
  }

  /** Takes the reading of so many elements, for a result that is folded, from the budget; false when it is spent. */
  spendOnFold(elements: number): boolean {
    this.#foldWork -= elements;
    return this.#foldWork >= 0;
  }

  /** The same for a result that is only looked at. */
  spendOnLook(elements: number): boolean {
    this.#lookWork -= elements;
    return this.#lookWork >= 0;
  }
}
