/** What packing needs beside what all rewrites share. */

import type { Node } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { RewriteContext } from '../rewriting/context.ts';
import { nameOf } from '../rewriting/layers/layers.ts';
import type { SourceNames } from '../rewriting/source-names.ts';

export interface Epilogue {
  /** Factor per output channel. */
  readonly scale: Float64Array;
  /** Offset per output channel. */
  readonly bias: Float64Array;
  /** Offset per output channel behind a PReLU; null where there is no PReLU. */
  readonly offset: Float64Array | null;
}

export class CompileContext extends RewriteContext {
  /** Float64 originals of the rounded `scale`, `bias` and `offset` constants of packed layers. */
  readonly epilogues = new WeakMap<Node, Epilogue>();
  readonly #keepFloat: readonly RegExp[];

  constructor(model: Model, keepFloat: readonly RegExp[] = [], names?: SourceNames) {
    super(model, names);
    this.#keepFloat = keepFloat;
  }

  /** True when the user asked that this layer stay in float. */
  isKept(node: Node): boolean {
    const name = nameOf(node);
    return this.#keepFloat.some((pattern) => pattern.test(name));
  }
}
