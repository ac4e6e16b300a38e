/** Accuracy, agreement and speed of a model on a data set, in onnxruntime. */

import { performance } from 'node:perf_hooks';
import { LOGITS_TOLERANCE } from '../core/numbers/tolerance.ts';
import { type Fit, NO_DATASET, type Preprocessing } from '../core/pictures/preprocessing.ts';
import type { Batch } from '../data/batches/batch-maker.ts';
import { createBatches } from '../data/batches/batches.ts';
import type { Dataset, LoadOptions, LoadProgress } from '../data/dataset.ts';
import { DATASETS, type DatasetRow, hasFreeImageSize, loadDataset } from '../data/load-dataset.ts';
import { type Normalization, resolveNormalization } from '../data/normalization.ts';
import { BnnError } from '../errors.ts';
import { classLogits, classNumbers, classProbabilities, thresholdOf } from '../graph/output-form.ts';
import { compareClassNames } from './class-names.ts';
import { AgreementSheet, type ClassScore, ScoreSheet } from './classification.ts';
import { DecisionSheet, type Mistake } from './decision-sheet.ts';
import { type EngineName, ownEngine } from './engines.ts';
import { type ImageInput, imageInputOf, runImages, toChannelsFirst } from './image-input.ts';
import { type BatchSpeed, measureBatches, measureLatency } from './latency.ts';
import { type ModelFacts, readFacts } from './model-facts-io.ts';
import { type OpenedSession, type OpsChoice, openSession } from './open-session.ts';
import { frameOfModel } from './picture-form.ts';
import type { Placement } from './placement.ts';
import { type ExecutionProvider, precisionNote } from './provider.ts';
import type { ProviderChoice, Session } from './session.ts';

export interface ValidateOptions extends ProviderChoice {
  /** Path of an ONNX file. */
  readonly model: string;
  readonly dataset: string;
  /** Where `dataset` is looked up: the data sets of this project, unless told. */
  readonly datasets?: readonly DatasetRow[] | undefined;
  /** How a folder of classes alone was divided. */
  readonly split?: LoadOptions['split'];
  /** Fields of the recipe that the data set has of a plug-in. */
  readonly values?: LoadOptions['values'];
  /** Folder or archive of the data set. */
  readonly dir?: string | undefined;
  readonly download?: boolean | undefined;
  readonly ops?: OpsChoice | undefined;
  /** As for `openSession`; of `--against` never. */
  readonly fastStem?: boolean | undefined;
  /** `auto` unless told; of `--against` it stays onnxruntime. */
  readonly engine?: EngineName | undefined;
  /** 0 (unless told): as many as onnxruntime likes. */
  readonly threads?: number | undefined;
  /** 100 unless told. */
  readonly batchSize?: number | undefined;
  /** Only the first so many test images; 0 (unless told) for all. */
  readonly limit?: number | undefined;
  /** Path of another form of the model, run on the same pictures. */
  readonly against?: string | undefined;
  /** Execution provider of the other form, or of the model itself where there is no other form; `ep` unless told. */
  readonly againstEp?: ExecutionProvider | undefined;
  /** Batch sizes whose speed is measured as well. */
  readonly batches?: readonly number[] | undefined;
  /** Instead of what the model's metadata say. */
  readonly normalize?: Normalization | undefined;
  /** Counts what each class is taken for; off unless told. */
  readonly confusion?: boolean | undefined;
  /** Lists the mistakes, with the pictures of so many that the network is most certain of; undefined for no list. */
  readonly mistakes?: number | undefined;
  /** How pictures of various sizes are framed, instead of what the model's metadata say. */
  readonly fit?: Fit | undefined;
  readonly verbose?: boolean | undefined;
  readonly onData?: ((progress: LoadProgress) => void) | undefined;
  readonly onProgress?: ((progress: ValidateProgress) => void) | undefined;
}

export interface ValidateProgress {
  readonly images: number;
  readonly total: number;
  readonly top1: number;
  readonly imagesPerSecond: number;
}

export interface Validation {
  /** Fractions, 0 … 1. */
  readonly top1: number;
  /** Null where one number decides between two classes. */
  readonly top5: number | null;
  /** What that number must exceed to be the second class: 0, or 0.5 after a sigmoid; null where there is one for each class. */
  readonly threshold: number | null;
  /** Mean cross-entropy. */
  readonly loss: number;
  readonly images: number;
  /** Share of images with the same arg-max as the other form, 0 … 1; null without one. */
  readonly agreement: number | null;
  /** How the other form does on the same pictures; null without one. */
  readonly other: Pick<Validation, 'top1' | 'top5' | 'loss'> | null;
  /** Largest difference of a logit from the other form, of a probability where one of them gives those; null without one. */
  readonly maxLogitDifference: number | null;
  /**
   * Pictures with a logit further than `LOGITS_TOLERANCE` from the other form; null without one. Folding constants changes the
   * rounding of an activation, and where it lies within rounding of 0 its sign, which moves the logits of that picture visibly.
   */
  readonly imagesBeyondTolerance: number | null;
  /** Median time of one picture; null when the model's batch size is fixed at another. */
  readonly latencyMs: number | null;
  /** At `batchSize`, in onnxruntime alone. */
  readonly imagesPerSecond: number;
  readonly batchSize: number;
  /** Speed at the batch sizes that were asked for. */
  readonly batches: readonly BatchSpeed[];
  readonly ep: ExecutionProvider;
  /** Of what it was compared with; null without a comparison. */
  readonly againstEp: ExecutionProvider | null;
  /** On which provider how many nodes ran; null on `cpu`, where there is nothing else. */
  readonly nodes: Placement['nodes'] | null;
  /** Whether our kernels ran the binary layers. */
  readonly ops: 'on' | 'off';
  readonly engine: OpenedSession['engine'];
  /** What ran it, for people, e.g. `onnxruntime-node 1.30.0`. */
  readonly runtime: string;
  readonly threads: number;
  readonly classes: readonly ClassScore[];
  /** Pictures of each class (rows, in the order of `classes`) by what they were taken for; null unless asked for. */
  readonly confusion: readonly (readonly number[])[] | null;
  /** The most certain first; null unless asked for. */
  readonly mistakes: readonly Mistake[] | null;
  readonly dataset: { readonly name: string; readonly root: string; readonly fingerprint: string };
  readonly normalization: 'model' | 'option' | 'dataset';
  /** What the reader of the figures should know. */
  readonly notes: readonly string[];
}

const DEFAULT_BATCH = 100;

/**
 * Runs a model over the test images of a data set.
 *
 * @throws {BnnError} what loading model and data throws; E_SHAPE when pictures or classes do not fit the model, naming both.
 */
export async function validateModel(options: ValidateOptions): Promise<Validation> {
  const { ep, epOptions, allowCpuFallback, threads, verbose, againstEp } = options;
  const other = options.against ?? (againstEp === undefined ? undefined : options.model);
  const common = { allowCpuFallback, threads, verbose };
  const { ops, engine, fastStem } = options;
  const open = (restBetweenRuns: boolean): Promise<OpenedSession> =>
    openSession(options.model, { ...common, restBetweenRuns, ep, epOptions, ops, engine, fastStem });
  const facts = [await readFacts(options.model)];
  // Two that take turns must not hold each other up.
  const restBetweenRuns = other !== undefined;
  const sessions = [await open(restBetweenRuns)];
  try {
    // Options are those of one provider.
    const provider = againstEp === undefined || againstEp === ep ? { ep, epOptions } : { ep: againstEp };
    if (other !== undefined) facts.push(await readFacts(other));
    // Always stock: what a result is compared with should not come from the same kernels.
    if (other !== undefined)
      sessions.push(
        await openSession(other, { ...common, ...provider, restBetweenRuns, ops: 'off', engine: 'onnxruntime' }),
      );
    return await validateSessions(sessions, facts, options, open);
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

/** Does something with a session that is opened for it: one whose threads rest between runs is slower at one picture after the other. */
async function withSession<T>(
  open: () => Promise<OpenedSession>,
  work: (session: OpenedSession) => Promise<T>,
): Promise<T> {
  const session = await open();
  try {
    return await work(session);
  } finally {
    await session.dispose();
  }
}

async function validateSessions(
  sessions: readonly OpenedSession[],
  facts: readonly ModelFacts[],
  options: ValidateOptions,
  open: (restBetweenRuns: boolean) => Promise<OpenedSession>,
): Promise<Validation> {
  const [session, other] = sessions;
  const [own, others] = facts;
  if (session === undefined || own === undefined) throw new Error('internal: no session');
  const { preprocessing, isQuantized } = own;
  const input = imageInputOf(session);
  const { datasets = DATASETS } = options;
  const load: LoadOptions = {
    dir: options.dir || undefined,
    download: options.download,
    // Training images are not used; one is enough for what else a data set knows.
    limitTrain: 1,
    limitTest: options.limit || undefined,
    ...(hasFreeImageSize(options.dataset, datasets) ? framingOf(session, preprocessing, options) : {}),
    split: options.split,
    values: options.values,
    onProgress: options.onData,
  };
  const dataset = await loadDataset(options.dataset, load, datasets);
  assertImageSize(session, input, dataset);
  if (other !== undefined) assertImageSize(other, imageInputOf(other), dataset);
  const notes = compareClassNames([
    { of: 'the model', at: session.at, classes: own.preprocessing?.classes ?? [] },
    { of: 'the other form', at: other?.at ?? '', classes: others?.preprocessing?.classes ?? [] },
    { of: `${dataset.name} at ${dataset.root}`, at: dataset.root, classes: dataset.classes },
  ]);
  const engine = ownEngine(session.engine);
  if (engine !== null) {
    if (options.engine !== engine.name) notes.push(`${engine.title}: ${session.opsReason}`);
  } else if (session.ops !== 'on' && options.ops !== 'off') {
    notes.push(`stock operators of onnxruntime: ${session.opsReason}`);
  }
  if (isQuantized && other !== undefined) {
    notes.push(
      'the model rounds values to 8-bit integers: logits differ by more than float rounding; compare top-1 and agreement',
    );
  }
  const eps = new Set([session.ep, ...(other === undefined ? [] : [other.ep])]);
  notes.push(...Array.from(eps, precisionNote).filter((note) => note !== undefined));
  notes.push(...(dataset.notes ?? []));
  const { normalize, from } = chooseNormalization(preprocessing, options, dataset, notes);
  const batchSize = input.batch ?? (options.batchSize || DEFAULT_BATCH);
  if (input.batch !== null && options.batchSize && options.batchSize !== input.batch) {
    notes.push(`the model takes batches of ${input.batch} only`);
  }
  const unfit = options.batches?.find((size) => input.batch !== null && size !== input.batch);
  if (unfit !== undefined) {
    throw new BnnError('E_SHAPE', `the model takes batches of ${input.batch} only, not of ${unfit}`, {
      at: session.at,
    });
  }
  const image = [dataset.channels, dataset.height, dataset.width] as const;
  const scores = new ScoreSheet(dataset.classes);
  const agreement = other === undefined ? null : new AgreementSheet(dataset.classes.length);
  const otherScores = new ScoreSheet(dataset.classes);
  const statistics = resolveNormalization(normalize, dataset);
  const decisions = new DecisionSheet(dataset, statistics, options.mistakes ?? 0);
  const broken: string[] = [];
  const onBrokenImage = ({ at }: { readonly at: string }) => broken.push(at);
  const batches = createBatches(dataset.test, { batchSize, normalize, onBroken: 'skip', onBrokenImage });
  const timer = { images: 0, ms: 0 };
  let first: Float32Array | undefined;
  let threshold: number | null = null;

  const evaluate = async (batch: Batch): Promise<void> => {
    const x = toChannelsFirst(batch.images, batch.count, dataset.channels);
    if (first === undefined) {
      first = x.slice(0, x.length / batch.count);
      // Memory is laid out in the first run.
      await runImages(session, x, batch.count, image, input.batch);
    }
    const begin = performance.now();
    const { data, shape } = await runImages(session, x, batch.count, image, input.batch);
    timer.ms += performance.now() - begin;
    timer.images += batch.count;
    const outputs = assertClasses(session, shape, dataset);
    const form = own.formOf(outputs);
    if (outputs === 1) threshold = thresholdOf(form);
    const logits = classLogits(data, outputs, form);
    scores.add(logits, batch.labels);
    if (options.confusion === true || options.mistakes !== undefined)
      decisions.add(batch, logits, classProbabilities(data, outputs, form));
    if (other === undefined || agreement === null) return;
    const result = await runImages(other, x, batch.count, image, imageInputOf(other).batch);
    const otherOutputs = assertClasses(other, result.shape, dataset);
    const otherForm = (others ?? own).formOf(otherOutputs);
    const scale = form === otherForm && outputs === otherOutputs ? classNumbers : classProbabilities;
    agreement.add(scale(data, outputs, form), scale(result.data, otherOutputs, otherForm));
    otherScores.add(classLogits(result.data, otherOutputs, otherForm), batch.labels);
  };
  for await (const batch of batches) {
    await evaluate(batch);
    const { images, top1 } = scores.scores;
    options.onProgress?.({
      images,
      total: dataset.test.count,
      top1,
      imagesPerSecond: (timer.images / timer.ms) * 1000,
    });
  }
  if (broken.length > 0)
    notes.push(
      `${broken.length} broken pictures are left out: ${broken.slice(0, 5).join(', ')}${broken.length > 5 ? ' …' : ''}`,
    );
  if (threshold !== null) notes.push(`one number decides: above ${threshold} is "${dataset.classes[1]}"`);
  const canRunOne = first !== undefined && (input.batch === null || input.batch === 1);
  const measureSpeed = async (alone: OpenedSession): Promise<Pick<Validation, 'latencyMs' | 'batches'>> => ({
    latencyMs: first !== undefined && canRunOne ? await measureLatency(alone, first, [1, ...image]) : null,
    batches: first === undefined ? [] : await measureBatches(alone, first, image, options.batches ?? []),
  });
  return {
    ...scores.scores,
    ...scoresOf(scores, threshold),
    threshold,
    confusion: options.confusion === true ? decisions.confusion : null,
    mistakes: options.mistakes === undefined ? null : decisions.mistakes,
    agreement: agreement?.agreement ?? null,
    other: other === undefined ? null : scoresOf(otherScores, threshold),
    maxLogitDifference: agreement?.maxDifference ?? null,
    imagesBeyondTolerance: agreement?.countBeyond(LOGITS_TOLERANCE) ?? null,
    ...(other === undefined ? await measureSpeed(session) : await withSession(() => open(false), measureSpeed)),
    imagesPerSecond: (timer.images / timer.ms) * 1000,
    batchSize,
    ep: session.ep,
    againstEp: other?.ep ?? null,
    nodes: session.placement?.nodes ?? null,
    ops: session.ops,
    engine: session.engine,
    runtime: session.runtime,
    threads: session.threads,
    dataset: { name: dataset.name, root: dataset.root, fingerprint: dataset.fingerprint },
    normalization: from,
    notes,
  };
}

/** What the model wants; the usual frame of its size where nobody says. */
function framingOf(
  session: Session,
  preprocessing: Preprocessing | null,
  { fit }: ValidateOptions,
): Pick<LoadOptions, 'imageSize' | 'frame'> {
  const { height, width } = imageInputOf(session);
  const frame = frameOfModel(preprocessing, [height, width], fit, session.at);
  return frame === null ? { imageSize: height ?? undefined } : { frame };
}

function scoresOf(sheet: ScoreSheet, threshold: number | null): Pick<Validation, 'top1' | 'top5' | 'loss'> {
  const { top1, top5, loss } = sheet.scores;
  return { top1, top5: threshold === null ? top5 : null, loss };
}

function chooseNormalization(
  preprocessing: Preprocessing | null,
  options: ValidateOptions,
  dataset: Dataset,
  notes: string[],
): { normalize: Normalization; from: Validation['normalization'] } {
  if (options.normalize !== undefined) return { normalize: options.normalize, from: 'option' };
  if (preprocessing === null) {
    notes.push(
      "the model does not say how its pictures were normalized: the data set's own statistics are used (see --normalize)",
    );
    return { normalize: 'dataset', from: 'dataset' };
  }
  if (preprocessing.dataset !== dataset.name && preprocessing.dataset !== NO_DATASET) {
    notes.push(`the model was trained on ${preprocessing.dataset}, this is ${dataset.name}`);
  }
  return { normalize: { mean: preprocessing.mean, std: preprocessing.std }, from: 'model' };
}

function assertImageSize(session: Session, input: ImageInput, dataset: Dataset): void {
  const differs = (['channels', 'height', 'width'] as const).some(
    (side) => input[side] !== null && input[side] !== dataset[side],
  );
  if (!differs) return;
  const wanted = [input.channels, input.height, input.width].map((size) => size ?? '?').join('×');
  throw new BnnError(
    'E_SHAPE',
    `the model takes pictures of ${wanted} (channels × height × width), those of ${dataset.name} are ${dataset.channels}×${dataset.height}×${dataset.width}`,
    { at: session.at, hint: 'choose the data set that the model was trained for, with --dataset' },
  );
}

/** @returns  the outputs of a model: as many as there are classes, or one for two. */
function assertClasses(session: Session, [, outputs = 0]: readonly number[], dataset: Dataset): number {
  const classes = dataset.classes.length;
  if (outputs === 1 ? classes === 2 : outputs === classes) return outputs;
  throw new BnnError(
    'E_SHAPE',
    `the model ${outputs === 1 ? 'decides between two classes by one number' : `tells ${outputs} classes apart`}, ${dataset.name} at ${dataset.root} has ${dataset.classes.length}`,
    { at: session.at, hint: 'choose the data set that the model was trained for' },
  );
}
