/**
 * `bnn-toolchain/web`: packed models in a browser. One file of JavaScript and one of WebAssembly, nothing else.
 *
 *     const session = await createSession('model.onnx');
 *     const [best] = await session.classify(image);
 */

import { type Framing, framePicture } from '../core/pictures/frame-picture.ts';
import type { Preprocessing } from '../core/pictures/preprocessing.ts';
import { messageOf } from '../engine/engine-module.ts';
import { EngineSession, type EngineTensor, type EngineTensorInfo } from '../engine/engine-session.ts';
import type { Team } from '../engine/engine-threads.ts';
import {
  frameFor,
  type Guess,
  guessesOf,
  type PictureInput,
  type Pixels,
  pictureInputOf,
  prepare,
  preprocessingOf,
} from '../engine/picture-input.ts';
import { type WasmModule, wasm } from '../engine/web-assembly.ts';
import { BnnError } from '../errors.ts';
import { type Drawable, pixelsOf } from './dom.ts';
import { chooseTeam } from './page-threads.ts';

export { BnnError, type ErrorCode } from '../errors.ts';
export type { Drawable, EngineTensor, EngineTensorInfo, Framing, Guess, Pixels, Preprocessing };

export interface WebSessionOptions {
  /** Where `engine.wasm` lies; beside this file unless told. */
  readonly engine?: string | URL;
  /** Where `engine-threads.wasm` lies, which several threads need; beside this file unless `engine` is told. */
  readonly threadedEngine?: string | URL;
  /** That work on it; 0 (unless told): as many as suit the machine. One where the page is not cross-origin isolated. */
  readonly threads?: number;
  /**
   * Makes the float stem of a network for large pictures, and its pooling, with a quarter of the products: equal but for rounding. Off unless told;
   * E_UNSUPPORTED where the network has no such stem.
   */
  readonly fastStem?: boolean;
  /** How pictures are prepared, where the file does not say. */
  readonly preprocessing?: Pick<Preprocessing, 'mean' | 'std' | 'classes'> & Partial<Preprocessing>;
  /** What to call the model in messages. */
  readonly at?: string;
}

export interface RunOptions {
  /**
   * Arrays that the outputs are written into, by name. New memory for a large output costs more than computing it, so who runs a model
   * again and again gives the same array each time. Outputs without one get a new one.
   */
  readonly outputs?: Readonly<Record<string, Float32Array>>;
}

export class WebSession {
  readonly #session: EngineSession;
  readonly #preprocessing: WebSessionOptions['preprocessing'];
  /** That run it. */
  readonly threads: number;
  /** Why they are fewer than asked for, or than suit the machine. */
  readonly threadProblem: string | undefined;

  /** Use `createSession`. */
  constructor(session: EngineSession, preprocessing: WebSessionOptions['preprocessing'], threadProblem?: string) {
    this.#session = session;
    this.#preprocessing = preprocessing;
    this.threads = session.threads;
    this.threadProblem = threadProblem ?? session.threadProblem;
  }

  get inputs(): readonly EngineTensorInfo[] {
    return this.#session.inputs;
  }
  get outputs(): readonly EngineTensorInfo[] {
    return this.#session.outputs;
  }
  get metadata(): ReadonlyMap<string, string> {
    return this.#session.metadata;
  }
  /** The picture that the network takes; E_UNSUPPORTED when it takes none. */
  get picture(): PictureInput {
    const [input] = this.inputs;
    if (input === undefined) throw new BnnError('E_UNSUPPORTED', 'the model has no input');
    return pictureInputOf(input);
  }
  /** Names of the classes, as far as the file tells them. */
  get classes(): readonly string[] {
    return (this.#preprocessing ?? preprocessingOf(this.metadata)).classes;
  }

  /**
   * Runs the model on numbers.
   *
   * @param feeds  the inputs by name.
   * @returns      the outputs by name.
   * @throws {BnnError} E_SHAPE when the model does not take those shapes or an array has another size than its output, E_USAGE for an
   *   array of an output that is not there, E_BACKEND when memory runs out.
   */
  async run(
    feeds: Readonly<Record<string, EngineTensor>>,
    { outputs }: RunOptions = {},
  ): Promise<Record<string, EngineTensor>> {
    return this.#session.runAll(feeds, outputs);
  }

  /**
   * Which part of a picture of the given size the network sees, and where in its own: how it is cut, resized and padded.
   *
   * @throws {BnnError} E_UNSUPPORTED when the model takes no picture, or does not say how they are prepared.
   */
  framing(width: number, height: number): Framing {
    return framePicture(width, height, frameFor(this.picture, this.#preprocessing ?? preprocessingOf(this.metadata)));
  }

  /**
   * The most likely classes of a picture, which is prepared as the file says.
   *
   * @throws {BnnError} E_UNSUPPORTED when the model does not classify pictures or does not say how they are prepared.
   */
  async classify(source: Drawable | Pixels, { top = 5 }: { readonly top?: number } = {}): Promise<readonly Guess[]> {
    const preprocessing = this.#preprocessing ?? preprocessingOf(this.metadata);
    const input = this.picture;
    const { layout, channels, height, width } = input;
    const x = prepare(pixelsOf(source), input, preprocessing);
    const { data } = this.#session.run(
      x,
      layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels],
    );
    return guessesOf(data, this.#session.outputFormOf(data.length), preprocessing.classes, top);
  }

  async dispose(): Promise<void> {
    await this.#session.dispose();
  }
}

/**
 * Loads a model.
 *
 * @param model  its bytes, or where it lies.
 * @throws {BnnError} E_NOT_FOUND when there is nothing at an address, E_FORMAT for what is no ONNX file, E_UNSUPPORTED for operators
 *   that the engine lacks, E_BACKEND where WebAssembly does not work.
 */
export async function createSession(
  model: Uint8Array | ArrayBuffer | string | URL,
  options: WebSessionOptions = {},
): Promise<WebSession> {
  const isPlace = typeof model === 'string' || model instanceof URL;
  const [{ module, team, problem }, bytes] = await Promise.all([
    chooseEngine(options),
    isPlace ? fetchBytes(model, 'the model') : model instanceof Uint8Array ? model : new Uint8Array(model),
  ]);
  const at = options.at ?? (isPlace ? String(model) : 'model');
  return new WebSession(
    await EngineSession.create(module, bytes, { at, team, fastStem: options.fastStem }),
    options.preprocessing,
    problem,
  );
}

interface ChosenEngine {
  readonly module: WasmModule;
  readonly team?: Team;
  readonly problem?: string | undefined;
}

/** Where the threads or their module are missing, one thread does the work. */
async function chooseEngine({ engine, threadedEngine, threads = 0 }: WebSessionOptions): Promise<ChosenEngine> {
  const { team, problem } = chooseTeam(threads);
  const alone = async (reason: string | undefined): Promise<ChosenEngine> => ({
    module: await compiledFrom(engine ?? new URL('engine.wasm', import.meta.url)),
    problem: reason,
  });
  if (team === undefined) return await alone(problem);
  if (engine !== undefined && threadedEngine === undefined) {
    return await alone('the option engine is given without threadedEngine');
  }
  try {
    const module = await compiledFrom(threadedEngine ?? new URL('engine-threads.wasm', import.meta.url));
    return { module, team };
  } catch (error) {
    return await alone(messageOf(error));
  }
}

const compiled = new Map<string, Promise<WasmModule>>();

/** Once for all sessions of a page; tried anew after a failure. */
function compiledFrom(engine: string | URL): Promise<WasmModule> {
  const key = String(engine);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const made = fetchBytes(engine, 'the engine').then((bytes) => compile(bytes, key));
  compiled.set(key, made);
  made.catch(() => compiled.delete(key));
  return made;
}

async function compile(bytes: Uint8Array, at: string): Promise<WasmModule> {
  try {
    return await wasm.compile(bytes);
  } catch (cause) {
    throw new BnnError('E_BACKEND', `the engine does not compile: ${messageOf(cause)}`, {
      at,
      hint: 'check that engine.wasm was copied completely, beside the JavaScript of the same version, and that the page may run WebAssembly',
      cause,
    });
  }
}

async function fetchBytes(place: string | URL, what: string): Promise<Uint8Array> {
  const at = String(place);
  try {
    const response = await fetch(at);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new BnnError('E_NOT_FOUND', `${what} is not there: HTTP ${response.status} ${response.statusText}`, { at });
  } catch (cause) {
    if (cause instanceof BnnError) throw cause;
    throw new BnnError('E_IO', `cannot fetch ${what}: ${messageOf(cause)}`, { at, cause });
  }
}
