/** Runs packed models on the WebAssembly kernels, in any JavaScript runtime. */

import { elementCount } from '../core/tensors/shape.ts';
import { BnnError } from '../errors.ts';
import type { Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { type OutputForm, outputFormOf } from '../graph/output-form.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import { noFastStem } from '../rewriting/layers/float-stem.ts';
import { Engine, messageOf } from './engine-module.ts';
import type { Team } from './engine-threads.ts';
import { type Plan, planModel, type Shared } from './plan.ts';
import { stemsOf } from './stem.ts';
import { type WasmModule, wasm } from './web-assembly.ts';

export interface EngineTensorInfo {
  readonly name: string;
  readonly dtype: string;
  /** Sizes; a text is a symbolic size. */
  readonly shape: readonly (number | string)[];
}

/** Row-major numbers. */
export interface EngineTensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

export interface EngineSessionOptions {
  /** What to call the model in messages. */
  readonly at?: string | undefined;
  /** Who works on it; the calling thread alone unless told. Results have the same bits. */
  readonly team?: Team | undefined;
  /** The float stem and its pooling by Winograd's filtering: equal but for rounding. Off unless told. */
  readonly fastStem?: boolean | undefined;
}

/** Plans for so many input shapes are kept. */
const MOST_PLANS = 4;

export class EngineSession {
  readonly inputs: readonly EngineTensorInfo[];
  readonly outputs: readonly EngineTensorInfo[];
  /** What the file says about itself. */
  readonly metadata: ReadonlyMap<string, string>;
  /** What so many numbers mean that a classifier gives for a picture. */
  readonly outputFormOf: (outputs: number) => OutputForm;
  readonly #bytes: Uint8Array;
  /** Planning changes a model: this is for the first plan, later ones read the bytes anew. */
  #decoded: Model | undefined;
  readonly #at: string;
  readonly #shared: Shared;
  readonly #plans = new Map<string, Plan>();
  #arenaBytes = 0;
  #threads = 1;
  #threadProblem: string | undefined;
  /** Why it can run no more. */
  #ended: string | undefined;

  /**
   * @param module  the compiled `engine.wasm`; `engine-threads.wasm` for a team.
   * @param bytes   an ONNX file; kept, so leave it alone.
   * @throws {BnnError} E_FORMAT for what is no ONNX file, E_UNSUPPORTED for what the engine does not run, and for `fastStem` of a network without such
   *   a stem.
   */
  static async create(
    module: WasmModule,
    bytes: Uint8Array,
    { at = 'model', team, fastStem = false }: EngineSessionOptions = {},
  ): Promise<EngineSession> {
    const engine = await Engine.create(module, team);
    try {
      const session = new EngineSession(engine, bytes, at, fastStem);
      session.#tryShapes();
      // They start meanwhile.
      const { count, problem } = await engine.gather();
      [session.#threads, session.#threadProblem] = [count, problem];
      return session;
    } catch (error) {
      await engine.end();
      throw error;
    }
  }

  private constructor(engine: Engine, bytes: Uint8Array, at: string, fastStem: boolean) {
    const model = decodeModel(bytes, { at });
    if (fastStem && stemsOf(model.graph).size === 0) throw noFastStem(at);
    const inputs = model.graph.inputs.map(infoOf);
    const other = inputs.find(({ dtype }) => dtype !== 'float32');
    if (other !== undefined) {
      throw new BnnError('E_UNSUPPORTED', `the input ${other.name} is ${other.dtype}, expected float32`, { at });
    }
    this.inputs = inputs;
    this.outputs = model.graph.outputs.map(infoOf);
    this.metadata = model.metadata;
    this.outputFormOf = outputFormOf(model.graph);
    this.#bytes = bytes;
    this.#decoded = model;
    this.#at = at;
    this.#shared = { engine, layers: new Map(), kept: new Map(), fastStem, stems: new Map(), base: 0 };
  }

  /** That run it. */
  get threads(): number {
    return this.#threads;
  }
  /** Why they are fewer than asked for. */
  get threadProblem(): string | undefined {
    return this.#threadProblem;
  }

  /** Plans one picture where the sizes are known, so that what cannot be run is said when the model is loaded. */
  #tryShapes(): void {
    const shapes = this.inputs.map(({ shape }) =>
      shape.map((size, axis) => (typeof size === 'string' && axis === 0 ? 1 : size)),
    );
    if (shapes.flat().every((size) => typeof size === 'number')) this.#planFor(shapes as number[][]);
  }

  /**
   * Runs a model of one input and takes its first output.
   *
   * @param x  f32[shape], row-major.
   * @throws {BnnError} as `runAll`, E_UNSUPPORTED for several inputs.
   */
  run(x: Float32Array, shape: readonly number[]): EngineTensor {
    const [input, ...others] = this.inputs;
    if (input === undefined || others.length > 0) {
      const found = this.inputs.map(({ name }) => name).join(', ');
      throw new BnnError('E_UNSUPPORTED', `the model takes ${found || 'nothing'}, expected one input`, {
        at: this.#at,
      });
    }
    const [first] = Object.values(this.runAll(Object.fromEntries([[input.name, { data: x, shape }]])));
    if (first === undefined) throw new BnnError('E_UNSUPPORTED', 'the model has no output', { at: this.#at });
    return first;
  }

  /**
   * Runs the model.
   *
   * @param feeds  the inputs by name.
   * @param room   arrays that outputs are written into, by name; the others get new ones.
   * @returns      the outputs by name.
   * @throws {BnnError} E_SHAPE when the model does not take those shapes or an output has another size than its array, E_USAGE for an
   *   array of an output that is not there, E_BACKEND when memory runs out; the session has ended then.
   */
  runAll(
    feeds: Readonly<Record<string, EngineTensor>>,
    room: Readonly<Record<string, Float32Array>> = {},
  ): Record<string, EngineTensor> {
    if (this.#ended !== undefined) throw new BnnError('E_BACKEND', this.#ended, { at: this.#at });
    const tensors = this.inputs.map((info) => this.#checked(info, feeds));
    const { engine } = this.#shared;
    const plan = this.#planFor(tensors.map(({ shape }) => shape));
    this.#checkRoom(plan, room);
    this.#reserve(plan.bytes);
    for (const [i, slot] of plan.inputs.entries()) {
      const data = tensors[i]?.data ?? [];
      engine.floats(this.#shared.base + slot.offset, data.length).set(data);
    }
    this.#guarded(() => {
      for (const step of plan.steps) step();
    });
    return Object.fromEntries(
      plan.outputs.map(({ name, slot }) => {
        const computed = engine.floats(this.#shared.base + slot.offset, elementCount(slot.shape));
        const given = Object.hasOwn(room, name) ? room[name] : undefined;
        // New memory costs more than computing a large layer.
        given?.set(computed);
        return [name, { data: given ?? computed.slice(), shape: slot.shape }];
      }),
    );
  }

  #checkRoom({ outputs }: Plan, room: Readonly<Record<string, Float32Array>>): void {
    for (const [name, array] of Object.entries(room)) {
      const output = outputs.find((one) => one.name === name);
      if (output === undefined) {
        throw new BnnError('E_USAGE', `the model has no output ${name}, for which there is an array`, {
          at: this.#at,
          hint: `it has ${outputs.map((one) => one.name).join(', ') || 'none'}`,
        });
      }
      const { shape } = output.slot;
      if (array instanceof Float32Array && array.length === elementCount(shape)) continue;
      const found = array instanceof Float32Array ? `has room for ${array.length} numbers` : 'is no Float32Array';
      const expected = `${elementCount(shape)} for [${shape.join(', ')}]`;
      throw new BnnError('E_SHAPE', `the array for the output ${name} ${found}, expected ${expected}`, {
        at: this.#at,
      });
    }
  }

  #checked({ name, shape: declared }: EngineTensorInfo, feeds: Readonly<Record<string, EngineTensor>>): EngineTensor {
    const tensor = Object.hasOwn(feeds, name) ? feeds[name] : undefined;
    const expected = `${name} [${declared.join(', ')}]`;
    if (tensor === undefined) throw new BnnError('E_SHAPE', `the input ${expected} is missing`, { at: this.#at });
    const { data, shape } = tensor;
    const fits =
      shape.length === declared.length &&
      shape.every((size, i) => {
        const wanted = declared[i];
        return Number.isInteger(size) && size >= 0 && (typeof wanted === 'string' || wanted === size);
      });
    if (fits && data.length === elementCount(shape)) return tensor;
    const found = `${data.length} numbers as [${shape.join(', ')}]`;
    throw new BnnError('E_SHAPE', `the input is ${found}, expected ${expected}`, { at: this.#at });
  }

  #planFor(shapes: readonly (readonly number[])[]): Plan {
    const key = shapes.map((shape) => shape.join()).join(';');
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const model = this.#decoded ?? decodeModel(this.#bytes, { at: this.#at });
    this.#decoded = undefined;
    const plan = this.#guarded(() => planModel(this.#shared, model, shapes));
    const [oldest] = this.#plans;
    if (oldest !== undefined && this.#plans.size >= MOST_PLANS) {
      oldest[1].free();
      this.#plans.delete(oldest[0]);
    }
    this.#plans.set(key, plan);
    return plan;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#arenaBytes) return;
    const { engine } = this.#shared;
    if (this.#shared.base !== 0) engine.calls.free(this.#shared.base);
    [this.#shared.base, this.#arenaBytes] = [0, 0];
    this.#shared.base = engine.allocate(bytes);
    this.#arenaBytes = bytes;
  }

  /** A trap leaves the module's memory in no defined state. */
  #guarded<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof wasm.RuntimeError)) throw error;
      this.#ended = `the WebAssembly kernels stopped (${messageOf(error)}), most likely for want of memory`;
      void this.#shared.engine.end();
      throw new BnnError('E_BACKEND', this.#ended, {
        at: this.#at,
        hint: 'run fewer pictures at a time',
        cause: error,
      });
    }
  }

  /** Frees everything; running it again is an error. When this is over, so are its threads. */
  async dispose(): Promise<void> {
    this.#ended ??= 'the session was disposed of';
    // The memory of an instance goes with it.
    this.#plans.clear();
    this.#shared.layers.clear();
    this.#shared.stems.clear();
    this.#shared.kept.clear();
    await this.#shared.engine.end();
  }
}

function infoOf({ name, dtype, shape }: Value): EngineTensorInfo {
  return { name, dtype: dtype ?? 'unknown', shape: (shape ?? []).map((size, axis) => size ?? `d${axis}`) };
}
