/**
 * How much may be computed of constants. A file of a few bytes may ask for tensors of any size (`Concat(x, x)` thirty times), so the
 * measure is what the file itself holds; expressions beyond it stay in the graph, where the runtime computes them.
 */

import type { TensorData } from '../../core/tensors/tensor.ts';
import type { Graph } from '../../graph/graph.ts';

/** Elements that any file may ask for. */
const FREE_ELEMENTS = 2 ** 20;
/** Elements for each one in the file: bits in bytes become 8 numbers, and there are two copies while one is made of the other. */
const GROWTH = 16;
/** A large file may not grow so much: by this many elements, and to twice its size. */
const LARGE_ELEMENTS = 2 ** 25;
const LARGE_GROWTH = 2;
/** Elements read and written by folds, and by looking through what is not folded, which many rewrites do again and again. */
const FOLD_WORK = { free: 2 ** 24, perElement: 2 ** 8 };
const LOOK_WORK = { free: 2 ** 25, perElement: 2 ** 12 };

/** Results of the largest size that a search may hold. */
const LOOK_HELD = 8;

export class FoldBudget {
  readonly #maxElements: number;
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
    this.#maxElements = Math.min(FREE_ELEMENTS + GROWTH * elements, LARGE_ELEMENTS + LARGE_GROWTH * elements);
    this.#graph = graph;
    this.#maxConstants = graph.constantElements + this.#maxElements;
    this.#foldWork = FOLD_WORK.free + FOLD_WORK.perElement * elements;
    this.#lookWork = LOOK_WORK.free + LOOK_WORK.perElement * elements;
  }

  /** Elements that the next constant of the graph may have. */
  get foldRoom(): number {
    return Math.min(this.#maxElements, this.#maxConstants - this.#graph.constantElements, this.#foldWork);
  }

  /**
   * Elements that the next result may have that is only looked at.
   *
   * @param held  elements that the search holds already.
   */
  lookRoom(held: number): number {
    return Math.min(this.#maxElements, LOOK_HELD * this.#maxElements - held, this.#lookWork);
  }

  /** Takes elements that are read or written from the budget of folds. */
  spendOnFold(elements: number): void {
    this.#foldWork -= elements;
  }

  /** Takes them from the budget of what is only looked at. */
  spendOnLook(elements: number): void {
    this.#lookWork -= elements;
  }
}
