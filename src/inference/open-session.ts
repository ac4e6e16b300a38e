/** Chooses between stock onnxruntime, onnxruntime with our operator library, and our own engines. */

import { type Obstacle, obstacle, requireFound } from '../core/found.ts';
import { BnnError } from '../errors.ts';
import { inferNode } from '../graph/infer/infer-shapes.ts';
import type { Model } from '../graph/model.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import { readModel } from '../onnx/model-io.ts';
import { BNN_DOMAIN } from '../operators/definition.ts';
import { INFER_RULES } from '../operators/registry.ts';
import { AUTOMATIC_ENGINE, type EngineName, ownEngine } from './engines.ts';
import { type ModelFacts, readFacts } from './model-facts-io.ts';
import { findOpsLibrary, loadOrtAddon } from './native-addon.ts';
import { createNativeSession } from './native-session.ts';
import { loadOnnxruntime } from './onnxruntime.ts';
import { createSession, type Session, type SessionOptions } from './session.ts';

/** `on`: our kernels or an error; `off`: stock onnxruntime; `auto`: our kernels where they are there and the model has work for them. */
export const OPS_CHOICES = ['auto', 'on', 'off'] as const;
export type OpsChoice = (typeof OPS_CHOICES)[number];

export interface OpenOptions extends SessionOptions {
  /** `auto` unless told. */
  readonly engine?: EngineName | undefined;
  /** `auto` unless told. */
  readonly ops?: OpsChoice | undefined;
  /**
   * The float stem and its pooling by Winograd's filtering, with a quarter of the products: equal but for rounding, while sessions give
   * onnxruntime's bits without. Off unless told.
   */
  readonly fastStem?: boolean | undefined;
}

/** A session that knows whose kernels run its binary layers. */
export interface OpenedSession extends Session {
  readonly engine: Exclude<EngineName, 'auto'>;
  /** That run it: as asked for, 0 where onnxruntime chose. */
  readonly threads: number;
  readonly ops: 'on' | 'off';
  /** Why, in a few words. */
  readonly opsReason: string;
  /** What the file says of its pictures and results; of a path, it is read when this is first asked for. */
  facts(): Promise<ModelFacts>;
}

/**
 * Loads a model.
 *
 * @param model  path of an ONNX file, or its bytes.
 * @throws {BnnError} E_BACKEND when `ops` is `on` and something is missing; for `fastStem` likewise, E_USAGE beside what leaves our kernels
 *   out, and E_UNSUPPORTED where the network has no such stem; else as `createSession`.
 */
export async function openSession(model: string | Uint8Array, options: OpenOptions = {}): Promise<OpenedSession> {
  const { engine = 'auto', ops = 'auto', ep = 'cpu', fastStem = false } = options;
  if (fastStem) refuseFastStem(options);
  const own = ownEngine(engine);
  if (own !== null) {
    if (ops === 'on')
      throw new BnnError('E_USAGE', 'the operator library is part of onnxruntime', {
        hint: `leave out --ops, or --engine ${engine}`,
      });
    return withEngine(own, model, options, 'asked for');
  }
  const packed = await readPacked(model);
  if (packed !== null) refuseImpossible(packed, options.at);
  if (fastStem) return withFastStem(model, options);
  if (ops === 'off') return stock(model, options, 'asked for');
  const lack = findObstacle(ep);
  if (ops === 'on') {
    if (lack !== undefined) requireFound(lack);
    return withOps(model, options, 'asked for');
  }
  if (ep !== 'cpu') return stock(model, options, lack?.reason ?? '');
  if (packed === null) return stock(model, options, `the model has no ${BNN_DOMAIN} operators`);
  // Whatever is wrong with the model, the stock session says it too; what does not load or lacks an operator is no obstacle for `auto`.
  try {
    if (lack === undefined) return await withOps(model, options, `the model has ${BNN_DOMAIN} operators`);
    if (engine === 'onnxruntime') return await stock(model, options, lack.reason);
    return await withEngine(AUTOMATIC_ENGINE, model, options, lack.reason);
  } catch (error) {
    if (!(error instanceof BnnError)) throw error;
    return stock(model, options, error.message);
  }
}

/** @throws {BnnError} E_USAGE for a fast stem beside what leaves our kernels out. */
function refuseFastStem({ ops = 'auto', ep = 'cpu', engine = 'auto' }: OpenOptions): void {
  const isWithout = ops === 'off' && ownEngine(engine) === null;
  const reason = isWithout ? '--ops off' : ep === 'cpu' ? null : `--ep ${ep}`;
  if (reason === null) return;
  throw new BnnError('E_USAGE', `--fast-stem is done by our kernels on the CPU, ${reason} leaves them out`, {
    hint: 'leave out one of them',
  });
}

/** By the operator library, or without it by our own engine. */
function withFastStem(model: string | Uint8Array, options: OpenOptions): Promise<OpenedSession> {
  const { engine = 'auto', ops = 'auto', ep = 'cpu' } = options;
  const lack = findObstacle(ep);
  if (lack === undefined) return withOps(model, options, 'asked for');
  if (ops === 'on' || engine === 'onnxruntime') requireFound(lack);
  return withEngine(AUTOMATIC_ENGINE, model, options, lack.reason);
}

function findObstacle(ep: string): Obstacle | undefined {
  if (ep !== 'cpu') return obstacle(`our operators run on cpu, not on ${ep}`, 'use --ep cpu, or --ops off');
  for (const found of [loadOrtAddon(), findOpsLibrary()]) if (!found.ok) return found;
  return undefined;
}

/** A model with operators of ours; null for others, and for those that this project cannot read. */
async function readPacked(source: string | Uint8Array): Promise<Model | null> {
  try {
    const model = typeof source === 'string' ? await readModel(source) : decodeModel(source);
    for (const node of model.graph.nodes()) if (node.domain === BNN_DOMAIN) return model;
    return null;
  } catch (error) {
    if (error instanceof BnnError) return null;
    throw error;
  }
}

/**
 * Onnxruntime divides by the sizes of a graph whose shapes contradict each other, and ends the process.
 *
 * @throws {BnnError} E_SHAPE naming the node, or E_FORMAT where it is one of ours.
 */
function refuseImpossible(model: Model, at: string | undefined): void {
  for (const node of model.graph.nodes()) {
    const rule = INFER_RULES.get(node.type);
    if (rule === undefined) continue;
    try {
      inferNode(node, rule, model.opsets.get(node.domain) ?? 1);
    } catch (error) {
      if (!(error instanceof BnnError)) throw error;
      // What else this project does not know of standard operators, onnxruntime may.
      if (error.code !== 'E_SHAPE' && node.domain !== BNN_DOMAIN) continue;
      throw new BnnError(error.code, error.message, {
        at: [at, error.at].filter(Boolean).join(', '),
        hint: 'the file is damaged, or its sizes were changed by hand: export it again',
        cause: error,
      });
    }
  }
}

/** Onnxruntime, or where there is none and nobody asked for it, our own engine, which runs packed files and some others. */
async function stock(model: string | Uint8Array, options: OpenOptions, opsReason: string): Promise<OpenedSession> {
  const runtime = loadOnnxruntime();
  const { engine = 'auto', ep = 'cpu', ops = 'auto', threads = 0 } = options;
  if (runtime.ok || engine === 'onnxruntime' || ep !== 'cpu' || ops === 'off') {
    return withFacts(model, await createSession(model, options), {
      engine: 'onnxruntime',
      ops: 'off',
      opsReason,
      threads,
    });
  }
  try {
    return await withEngine(AUTOMATIC_ENGINE, model, options, runtime.reason);
  } catch (error) {
    if (!(error instanceof BnnError) || error.code !== 'E_UNSUPPORTED') throw error;
    throw new BnnError('E_BACKEND', `it takes onnxruntime to run this model, and ${runtime.reason}`, {
      at: error.at,
      hint: runtime.hint,
      cause: error,
    });
  }
}

async function withOps(model: string | Uint8Array, options: OpenOptions, opsReason: string): Promise<OpenedSession> {
  const { ep, threads = 0, verbose, restBetweenRuns, at, fastStem } = options;
  const own = { ops: true, fuse: true, fastStem };
  const session = await createNativeSession(model, { ep, threads, verbose, restBetweenRuns, at, ...own });
  return withFacts(model, session, { engine: 'onnxruntime', ops: 'on', opsReason, threads });
}

async function withEngine(
  { name, open }: typeof AUTOMATIC_ENGINE,
  model: string | Uint8Array,
  options: OpenOptions,
  opsReason: string,
): Promise<OpenedSession> {
  const session = await open(model, options);
  return withFacts(model, session, { engine: name, ops: 'off', opsReason, threads: session.threads });
}

function withFacts(
  model: string | Uint8Array,
  session: Session,
  facts: Pick<OpenedSession, 'engine' | 'ops' | 'opsReason' | 'threads'>,
): OpenedSession {
  return {
    ...facts,
    at: session.at,
    ep: session.ep,
    runtime: session.runtime,
    inputs: session.inputs,
    outputs: session.outputs,
    get placement() {
      return session.placement;
    },
    run: (x, shape) => session.run(x, shape),
    dispose: () => session.dispose(),
    facts: typeof model === 'string' ? factsLater(model) : factsNow(readFacts(model)),
  };
}

function factsLater(path: string): () => Promise<ModelFacts> {
  let facts: Promise<ModelFacts> | undefined;
  return () => {
    facts ??= readFacts(path);
    return facts;
  };
}

/** Of bytes, which are not kept: a session may take far less memory than its file. */
function factsNow(facts: Promise<ModelFacts>): () => Promise<ModelFacts> {
  facts.catch(() => {});
  return () => facts;
}
