/** Makes the ONNX file of a trained network, in 8-bit integers where that is asked for, and compares it with its source. */

import { lowerToPacked } from '../compiler/lower-to-packed.ts';
import type { CompileReport } from '../compiler/report.ts';
import type { Preprocessing } from '../core/pictures/preprocessing.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import type { Comparison, DecisionComparison } from '../inference/compare-forms.ts';
import type { SessionMemory } from '../inference/measure-sessions-io.ts';
import { type CheckpointName, findModel, type ModelSource } from '../inference/model-source-io.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readSizedModel } from '../onnx/model-io.ts';
import { addBnnFunctions } from '../operators/registry.ts';
import { LAYER_VARIANTS } from '../operators/variants.ts';
import { shareEqualConstants } from '../rewriting/equal-constants.ts';
import { preprocessingOf, setPreprocessing } from './describe-pictures.ts';
import { exportInt8, type Int8Export, type Int8Facts, type Int8Options } from './export-int8.ts';
import { VERSION } from './version.ts';

export type ModelForm = 'packed' | 'latent';

/** `dataset`, `data` and `normalize` are about `int8`: the training pictures that ranges come from, unless the run or the file knows them. */
export interface ExportModelOptions extends Int8Options {
  /** `packed` unless told. */
  readonly form?: ModelForm | undefined;
  /** Of a run; `last`, or `best` where pictures were held out for choosing it, unless told. */
  readonly checkpoint?: CheckpointName | undefined;
  /** Names of layers to leave in float; * and ? are wildcards. */
  readonly keepFloat?: readonly string[] | undefined;
  /** The first convolution in 8-bit integers. */
  readonly int8?: boolean | undefined;
  /** Runs both forms in onnxruntime on random pictures. */
  readonly verify?: boolean | undefined;
  /** Measures what sessions of the packed form take in memory. */
  readonly memory?: boolean | undefined;
}

/** What `verify` found: the packed form against the latent one, and 8-bit integers against float. */
export interface Verification extends Comparison {
  readonly int8?: DecisionComparison;
}

export interface ExportedModel {
  /** The ONNX file that was read. */
  readonly source: string;
  /** Paths of those in which it keeps tensors. */
  readonly externalFiles: readonly string[];
  readonly form: ModelForm;
  /** The file to write. */
  readonly bytes: Uint8Array;
  /** What the model says of its pictures; null when it does not. */
  readonly preprocessing: Preprocessing | null;
  /** Size of the packed form, whichever was asked for. */
  readonly packedBytes: number;
  /** Size of the same network with float weights. */
  readonly float32Bytes: number;
  /** Of the packed form. */
  readonly report: CompileReport;
  readonly int8: Int8Facts | null;
  /** Null where it was not asked for. */
  readonly verification: Verification | null;
  /** Whether `verification` found more than rounding. */
  readonly isDifferent: boolean;
  /** Undefined where it was not asked for, null where it cannot be measured. */
  readonly memory: SessionMemory | null | undefined;
}

/**
 * Packs a network, or brings it into the latent form that stock runtimes can read.
 *
 * @param source  a run folder, or an ONNX file in latent form; or what `findModel` found there.
 * @throws {BnnError} E_UNSUPPORTED for a model that is packed already; E_NOT_FOUND, E_FORMAT and what packing and running throw.
 */
export async function exportModel(
  source: string | ModelSource,
  options: ExportModelOptions = {},
): Promise<ExportedModel> {
  const { form = 'packed', checkpoint, keepFloat = [] } = options;
  const found = typeof source === 'string' ? await findModel(source, checkpoint) : source;
  const { model: latent, externalFiles } = await readSizedModel(found.path);
  assertNotPacked(latent, found.path);
  const latentBytes = latentBytesOf(latent);
  const packed = lowerToPacked(latent, { keepFloat });
  const int8 = options.int8 === true ? await exportInt8(packed.model, packed.report, found, options) : undefined;
  const { model, report } = int8 ?? packed;
  const result = form === 'packed' ? model : latent;
  result.producerVersion = VERSION;
  const stored = preprocessingOf(result, found.path);
  const preprocessing = stored === null ? null : setPreprocessing(result, stored);
  const bytes = encodeModel(result);
  const verification = options.verify === true ? await verify(bytes, packed.model, latentBytes, int8, options) : null;
  const memory = options.memory === true ? await measure(model, options.threads) : undefined;
  return {
    source: found.path,
    externalFiles,
    form,
    bytes,
    preprocessing,
    packedBytes: form === 'packed' ? bytes.length : encodeModel(model).length,
    float32Bytes: latentBytes.length,
    report,
    int8: int8?.facts ?? null,
    verification,
    isDifferent: verification !== null && (!verification.passed || verification.int8?.passed === false),
    memory,
  };
}

/** The packed form against the latent one, and what is rounded to 8-bit integers against the packed form in float. */
async function verify(
  bytes: Uint8Array,
  packed: Model,
  latentBytes: Uint8Array,
  int8: Int8Export | undefined,
  { threads, verbose }: ExportModelOptions,
): Promise<Verification> {
  const { compareForms, compareDecisions } = await import('../inference/compare-forms.ts');
  const packedBytes = encodeModel(packed);
  const comparison = await compareForms(packedBytes, latentBytes, { threads, verbose });
  if (int8 === undefined) return comparison;
  return { ...comparison, int8: await compareDecisions(bytes, packedBytes, int8.compared, { threads, verbose }) };
}

async function measure(model: Model, threads: number | undefined): Promise<SessionMemory | null> {
  const { measureSessions } = await import('../inference/measure-sessions-io.ts');
  return measureSessions(model, threads);
}

/** The latent file as stock runtimes can read it. */
function latentBytesOf(latent: Model): Uint8Array {
  shareEqualConstants(latent.graph);
  addBnnFunctions(latent);
  return encodeModel(latent);
}

function assertNotPacked(model: Model, at: string): void {
  for (const node of model.graph.nodes()) {
    if (node.domain !== 'bnn' || !LAYER_VARIANTS.has(node.op)) continue;
    throw new BnnError('E_UNSUPPORTED', `the model is in packed form already: it has ${node.describe()}`, {
      at,
      hint: 'give the run folder or the latent file that it was made from',
    });
  }
}
