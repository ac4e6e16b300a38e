/** A step of the pipeline. */

import type { Model } from '../graph/model.ts';
import type { RewriteContext } from './context.ts';
import { applyRewrites, type Rewrite } from './rewrite.ts';

export interface PassResult {
  readonly changed: boolean;
  /** How often each rewrite of the pass applied. */
  readonly rewrites?: Readonly<Record<string, number>>;
}

export interface Pass<Context extends RewriteContext = RewriteContext> {
  readonly name: string;
  /** One sentence for the documentation. */
  readonly doc: string;
  /** The rewrites that it applies, in order of preference; empty for a pass of another kind. */
  readonly rewrites: readonly Rewrite<Context>[];
  readonly run: (model: Model, context: Context) => PassResult;
}

/** A pass that applies rewrites until none matches. */
export function rewritePass<Context extends RewriteContext>(
  name: string,
  doc: string,
  rewrites: readonly Rewrite<Context>[],
): Pass<Context> {
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
