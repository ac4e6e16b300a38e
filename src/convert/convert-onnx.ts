/** The entry for ONNX files: a foreign model in, its latent form and a report out. */

import { type Lowered, lowerToPacked } from '../compiler/lower-to-packed.ts';
import type { RestReport } from '../compiler/report.ts';
import { layerBytes } from '../compiler/sizes.ts';
import type { Model } from '../graph/model.ts';
import { verify } from '../graph/verify.ts';
import { addBnnFunctions } from '../operators/registry.ts';
import { RewriteContext } from '../rewriting/context.ts';
import { SourceNames } from '../rewriting/source-names.ts';
import { conversionPasses } from './pipeline.ts';
import { reportSigns, SignLog, type SignReport, type SignZero } from './signs/sign-log.ts';
import { standardForm, trustingTypes } from './standard/standard-form.ts';
import { judgeLayers, type LayerVerdict } from './verdict/verdict.ts';

export interface ConvertOptions {
  /** What a sign that gives 0 at 0 becomes: `exact` (unless told) keeps it, and its layers ternary; `plus` makes it +1. */
  readonly signZero?: SignZero;
  /** The file's name, for messages. */
  readonly at?: string;
}

export interface ConvertReport {
  readonly layers: readonly LayerVerdict[];
  /** The constants that belong to no layer. */
  readonly rest: RestReport;
  readonly signs: SignReport;
  /** What is not exactly as in the source, in words. */
  readonly changes: readonly string[];
  /** How often each rewrite applied. */
  readonly rewrites: Readonly<Record<string, number>>;
}

export interface Converted {
  /** Latent form: standard operators of set 17, and `bnn.Sign`. */
  readonly model: Model;
  /** The same, packed: what the verdicts are about. */
  readonly lowered: Lowered;
  readonly report: ConvertReport;
}

/**
 * Converts a model to the latent form. The source is not changed; the result shares its tensors.
 *
 * What is not recognized as binary stays as it is, and the report says why.
 *
 * @throws {BnnError} E_UNSUPPORTED for an operator that nothing here knows, E_SHAPE or E_FORMAT when the source contradicts itself.
 */
export function convertOnnx(source: Model, options: ConvertOptions = {}): Converted {
  return trustingTypes((trusts) => convert(source, options, trusts));
}

function convert(source: Model, options: ConvertOptions, trustsTypes: boolean): Converted {
  const standard = standardForm(source, options.at, trustsTypes);
  const { model } = standard;
  const context = new RewriteContext(model, new SourceNames(source.graph));
  const before = layerBytes(model.graph, source.graph);
  const nodes = context.layers.records.map(({ node }) => node);
  const log = new SignLog();
  const rewrites: Record<string, number> = {};
  const told = new Map<string, (count: number) => string>();
  for (const pass of conversionPasses(log, options.signZero ?? 'exact')) {
    const result = pass.run(model, context);
    for (const [name, count] of Object.entries(result.rewrites ?? {})) rewrites[name] = (rewrites[name] ?? 0) + count;
    for (const { name, tell } of pass.rewrites) if (tell !== undefined) told.set(name, tell);
  }
  addBnnFunctions(model);
  verify(model);
  const signs = reportSigns(log, context);
  const changes = [...standard.changes];
  if (signs.changed.length > 0) {
    changes.push(`${signs.changed.length} signs give +1 instead of 0 at 0: ${signs.changed.join(', ')}`);
  }
  for (const [name, tell] of told) if (rewrites[name] !== undefined) changes.push(tell(rewrites[name]));
  const lowered = lowerToPacked(model, { names: context.names });
  const layers = judgeLayers(context, lowered, before, nodes);
  const bytesBefore = before.total - layers.reduce((sum, layer) => sum + layer.bytesBefore, 0);
  return {
    model,
    lowered,
    report: { layers, rest: { ...lowered.report.rest, bytesBefore }, signs, changes, rewrites },
  };
}
