/** The compiler's entry: latent form in, packed form out. */

import { nearest } from '../core/nearest.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { verify } from '../graph/verify.ts';
import { cloneModel } from '../rewriting/clone-model.ts';
import { isLayer, nameOf } from '../rewriting/layers/layers.ts';
import type { Pass } from '../rewriting/pass.ts';
import type { SourceNames } from '../rewriting/source-names.ts';
import { CompileContext } from './context.ts';
import { PIPELINE } from './pipeline.ts';
import { type CompileReport, createReport, type PassReport } from './report.ts';
import { layerBytes } from './sizes.ts';

export interface LowerOptions {
  /** Names of layers to leave in float; `*` and `?` stand for any characters and any one. */
  readonly keepFloat?: readonly string[];
  /** What the report calls nodes, when the model was itself made of another one; by default as they are called in the model. */
  readonly names?: SourceNames;
  /** Checks the graph at the start and after every pass. */
  readonly verify?: boolean;
  /** Called after every pass with the model as it is then. */
  readonly onPass?: (pass: PassReport, model: Model) => void;
}

export interface Lowered {
  readonly model: Model;
  readonly report: CompileReport;
}

/**
 * Lowers a model from latent to packed form. The source is not changed; the result shares its tensors.
 *
 * What cannot be packed stays float and is listed in the report with the reason. Models without binary layers pass through,
 * with constants and normalization folded.
 *
 * @throws {BnnError} E_NOT_FOUND when a `keepFloat` pattern fits no layer, E_SHAPE when the shapes of the source contradict
 *   each other, E_NUMERIC when a folded parameter is not finite.
 */
export function lowerToPacked(source: Model, options: LowerOptions = {}): Lowered {
  // A fault of the source is the user's, one that shows after a pass is ours.
  if (options.verify === true) verify(source);
  const model = cloneModel(source);
  options.names?.inheritAll(model.graph, source.graph);
  const context = new CompileContext(model, keepPatterns(model, options.keepFloat ?? []), options.names);
  const before = layerBytes(model.graph);
  const layers = context.layers.records.map(({ node }) => node);
  const passes: PassReport[] = [];
  for (const pass of PIPELINE) {
    const report = runPass(pass, context);
    passes.push(report);
    if (options.verify === true) verifyAfter(model, passes);
    options.onPass?.(report, model);
  }
  return { model, report: createReport(context, passes, before, layers) };
}

function runPass(pass: Pass<CompileContext>, context: CompileContext): PassReport {
  const start = performance.now();
  const { changed, rewrites = {} } = pass.run(context.model, context);
  return { name: pass.name, changed, elapsedMs: performance.now() - start, rewrites };
}

function verifyAfter(model: Model, passes: readonly PassReport[]): void {
  try {
    verify(model);
  } catch (error) {
    const done = passes.map(({ name }) => name).join(', ');
    throw new Error(`internal: pass ${passes.at(-1)?.name} left a broken graph (passes run: ${done})`, {
      cause: error,
    });
  }
}

function keepPatterns(model: Model, patterns: readonly string[]): RegExp[] {
  const layers = [...model.graph.nodes()].filter(isLayer);
  const names = layers.map(nameOf);
  return patterns.map((pattern) => {
    const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
    const expression = new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
    if (names.some((name) => expression.test(name))) return expression;
    const close = nearest(pattern, names);
    throw new BnnError('E_NOT_FOUND', `no layer is called "${pattern}", so it cannot be kept in float`, {
      at: `graph "${model.graph.name}"`,
      hint: close === undefined ? `layers: ${names.join(', ')}` : `did you mean ${close}?`,
    });
  });
}
