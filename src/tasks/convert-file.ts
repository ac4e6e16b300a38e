/** Reads a network from elsewhere, gives both of its forms, and compares them with the source where that is asked for. */

import { type Binarized, type BinarizeOptions, binarizeFloat } from '../convert/binarize-float.ts';
import { withZeroPolicy, ZERO_POLICIES } from '../convert/signs/sign-policy.ts';
import type { Preprocessing } from '../core/pictures/preprocessing.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { ALLOWED_SHARE } from '../inference/compare-rows.ts';
import type { SessionMemory } from '../inference/measure-sessions-io.ts';
import type { PictureOptions } from '../inference/picture-form.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import type { Candidate, Check } from './convert-check.ts';
import type { InputOptions, PixelRange } from './convert-inputs.ts';
import { type ConvertedSource, convertSource, type SourceOptions } from './convert-source.ts';
import { describePictures, preprocessingOf, setPreprocessing } from './describe-pictures.ts';
import { VERSION } from './version.ts';

export interface ConvertFileOptions extends SourceOptions {
  /** Makes the layers of a float network binary, as a start for training; {} by the rule as it is. */
  readonly binarize?: BinarizeOptions | undefined;
  /** What its pictures are, to be written into both forms. */
  readonly pictures?: PictureOptions | undefined;
  /** Runs source and result in a stock onnxruntime. */
  readonly verify?: boolean | undefined;
  /** Counts the inputs that would be decided differently under other rules for signs at 0. */
  readonly whatIf?: boolean | undefined;
  /** Measures what sessions of the packed form take in memory. */
  readonly memory?: boolean | undefined;
  /** Test pictures to compare on, instead of random inputs. */
  readonly dataset?: string | undefined;
  /** Folder or archive of the data set. */
  readonly data?: string | undefined;
  /** Numbers that the network takes; unless told 0..1 for pictures, normalized for random inputs. */
  readonly pixels?: PixelRange | undefined;
  /** Inputs to compare on; `DEFAULT_INPUTS` unless told. */
  readonly limit?: number | undefined;
  /** 0 (unless told): as many as onnxruntime likes. */
  readonly threads?: number | undefined;
}

export interface ConvertedFile extends ConvertedSource {
  readonly binarized: Binarized | null;
  /** Both forms as files, the latent one binarized where that was asked for. */
  readonly files: { readonly latent: Uint8Array; readonly packed: Uint8Array };
  /** What both files say of their pictures; null where they say nothing. */
  readonly preprocessing: Preprocessing | null;
  /** Null where it was not asked for, as the next two. */
  readonly verification: Check | null;
  /** Whether `verification` found more than rounding. */
  readonly isDifferent: boolean;
  /** Null also for a model without a sign of an activation: then `agreements` is empty. */
  readonly whatIf: Check | null;
  /** Undefined where it was not asked for, null where it cannot be measured. */
  readonly memory: SessionMemory | null | undefined;
  /** What else the reader should know of the comparison. */
  readonly notes: readonly string[];
}

export const DEFAULT_INPUTS = 64;
/** Float rounding in front of a sign may turn the decision of so many inputs. */
const CHANGED_SHARE = 0.02;

/**
 * Converts an ONNX file, or a checkpoint of PyTorch or Keras.
 *
 * @throws {BnnError} E_USAGE when the options do not go with the kind of file, and what reading, converting and running throw.
 */
export async function convertFile(path: string, options: ConvertFileOptions = {}): Promise<ConvertedFile> {
  const source = await convertSource(path, options);
  const binarized = options.binarize === undefined ? null : binarizeFloat(source.model, options.binarize);
  const models = [binarized?.model ?? source.model, source.lowered.model] as const;
  const preprocessing = described(models, options.pictures, path);
  const [latent, packed] = [finished(models[0]), finished(models[1])];
  const notes: string[] = [];
  const compare = (candidates: readonly Candidate[]) => compareWithSource(source, candidates, options, notes);
  const forms = [
    { name: 'latent', bytes: latent },
    { name: 'packed', bytes: packed },
  ];
  const verification = options.verify === true ? await compare(forms) : null;
  const whatIf = options.whatIf === true ? await compare(zeroPolicies(source.model)) : null;
  const memory = options.memory === true ? await measure(source.lowered.model, options.threads) : undefined;
  return {
    ...source,
    binarized,
    files: { latent, packed },
    preprocessing,
    verification,
    isDifferent: verification !== null && differs(verification),
    whatIf,
    memory,
    notes,
  };
}

function described(
  models: readonly [Model, Model],
  pictures: PictureOptions | undefined,
  path: string,
): Preprocessing | null {
  const preprocessing =
    pictures === undefined ? preprocessingOf(models[0], path) : describePictures(models[0], pictures, path);
  if (preprocessing === null) return null;
  const [described] = models.map((model) => setPreprocessing(model, preprocessing));
  return described ?? null;
}

function finished(model: Model): Uint8Array {
  model.producerVersion = VERSION;
  return encodeModel(model);
}

async function compareWithSource(
  { reference, translation }: ConvertedSource,
  candidates: readonly Candidate[],
  options: ConvertFileOptions,
  notes: string[],
): Promise<Check> {
  const { checkModels } = await import('./convert-check.ts');
  const settings = inputOptions(options);
  try {
    return await checkModels(reference, candidates, settings);
  } catch (error) {
    // Exporters write operators of types that the standard has and onnxruntime lacks.
    if (!(error instanceof BnnError) || error.code !== 'E_FORMAT' || translation === undefined) throw error;
    const check = await checkModels(translation(), candidates, settings);
    notes.push(`compared with the source in standard operators, since ${error.message}`);
    return check;
  }
}

type Settings = InputOptions & { readonly threads?: number | undefined };

function inputOptions({ dataset, data, pixels, limit = DEFAULT_INPUTS, threads }: ConvertFileOptions): Settings {
  return { dataset, data, limit, threads, pixels: pixels ?? (dataset === undefined ? 'normalized' : '0..1') };
}

function zeroPolicies(model: Model): Candidate[] {
  return ZERO_POLICIES.flatMap((policy) => {
    const variant = withZeroPolicy(model, policy);
    return variant === null ? [] : [{ name: `${policy} at 0`, bytes: encodeModel(variant) }];
  });
}

async function measure(model: Model, threads: number | undefined): Promise<SessionMemory | null> {
  const { measureSessions } = await import('../inference/measure-sessions-io.ts');
  return measureSessions(model, threads);
}

function differs({ inputs, agreements }: Check): boolean {
  return agreements.some(
    ({ maxDifference, changed, beyond, otherIntegers }) =>
      maxDifference === Infinity ||
      otherIntegers > 0 ||
      beyond > ALLOWED_SHARE * inputs ||
      (beyond > 0 && changed > CHANGED_SHARE * inputs),
  );
}
