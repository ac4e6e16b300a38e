/** A step of the pipeline. */

import type { Model } from '../graph/model.ts';
import type { CompileContext } from './context.ts';
import { applyRewrites, type Rewrite } from './rewrite.ts';

export interface PassResult {
  readonly changed: boolean;
  /** How often each rewrite of the pass applied. */
  readonly rewrites?: Readonly<Record<string, number>>;
}

export interface Pass {
  readonly name: string;
  /** One sentence for the documentation. */
  readonly doc: string;
  /** The rewrites that it applies, in order of preference; empty for a pass of another kind. */
  readonly rewrites: readonly Rewrite[];
  readonly run: (model: Model, context: CompileContext) => PassResult;
}

/** A pass that applies rewrites until none matches. */
export function rewritePass(name: string, doc: string, rewrites: readonly Rewrite[]): Pass {
  return {
    name,
    doc,
    rewrites,
    run: (_, context) => {
      const counts = applyRewrites(rewrites, context);
      return { changed: counts.size > 0, rewrites: Object.fromEntries(counts) };
    },
  };
}
