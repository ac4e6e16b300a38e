/** A model for inputs of given sizes: every shape known, every activation in its place, one step a node. */

import { elementCount } from '../core/tensors/shape.ts';
import { isDtype, type Tensor, toNumbers } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Node, Value } from '../graph/graph.ts';
import { inferNode } from '../graph/infer/infer-shapes.ts';
import type { Model } from '../graph/model.ts';
import { INFER_RULES } from '../operators/registry.ts';
import { EVALUATORS } from '../rewriting/exact/evaluators.ts';
import { type Exact, fitsDtype, roundExact } from '../rewriting/exact/exact.ts';
import { exactInput, selectedSizes } from '../rewriting/exact/movement.ts';
import type { FloatStem } from '../rewriting/layers/float-stem.ts';
import { Arena, type Slot } from './arena.ts';
import type { Engine, Pointer } from './engine-module.ts';
import type { Layer } from './layer.ts';
import { OPERATORS } from './operator-table.ts';
import { StemLayer, stemsOf } from './stem.ts';
import type { Operand, StepContext } from './step.ts';

/** What is in the module's memory beside activations. */
interface Store {
  /** By the name of a node's output and the layer's shape, which may follow from sizes. */
  readonly layers: Map<string, Layer>;
  /** By the name of a constant, or of the output of the node that uses it or gave it. */
  readonly kept: Map<string, Pointer>;
}

/** What all plans of a session share: of constants that are the same in all of them. */
export interface Shared extends Store {
  readonly engine: Engine;
  /** Whether stems run as one step. */
  readonly fastStem: boolean;
  /** By the name of the last node's output. */
  readonly stems: Map<string, StemLayer>;
  /** Where the activations of the plan that runs begin. */
  base: Pointer;
}

export interface Plan {
  /** Of all activations. */
  readonly bytes: number;
  /** In the order of the model's inputs. */
  readonly inputs: readonly Slot[];
  readonly outputs: readonly { readonly name: string; readonly slot: Slot }[];
  readonly steps: readonly (() => void)[];
  free(): void;
}

/** More than this would not fit the memory of a module. */
const MOST_ELEMENTS = 2 ** 29;
/** What shape arithmetic needs is small. */
const MOST_FOLDED = 2 ** 20;

/**
 * Plans a model.
 *
 * @param model  is changed: shapes become known, what is computed from constants becomes constant.
 * @throws {BnnError} E_UNSUPPORTED for an operator that the engine lacks, E_SHAPE for sizes that the model does not take.
 */
export function planModel(shared: Shared, model: Model, inputShapes: readonly (readonly number[])[]): Plan {
  return new Planner(shared, model).plan(inputShapes);
}

class Planner {
  readonly #shared: Shared;
  readonly #model: Model;
  readonly #arena = new Arena();
  readonly #slots = new Map<Value, Slot>();
  readonly #steps: (() => void)[] = [];
  /** What follows from the sizes of this plan. */
  readonly #own: Store = { layers: new Map(), kept: new Map() };
  readonly #ints: Pointer[] = [];
  /** Constants that were computed here, by the names of what they replace, which are those of every plan. */
  readonly #folded = new Map<Value, string>();
  /** Those of them in which sizes take part. */
  readonly #sized = new Set<Value>();
  /** Graph outputs keep their nodes: an Identity of the constant would be folded in turn. */
  readonly #foldedOutputs = new Map<Value, Tensor>();
  readonly #stems: ReadonlyMap<Node, FloatStem>;
  readonly #parts: ReadonlySet<Node>;

  constructor(shared: Shared, model: Model) {
    this.#shared = shared;
    this.#model = model;
    this.#stems = shared.fastStem ? stemsOf(model.graph) : new Map<Node, FloatStem>();
    this.#parts = new Set([...this.#stems.values()].flatMap(({ nodes }) => nodes));
  }

  plan(inputShapes: readonly (readonly number[])[]): Plan {
    const { graph } = this.#model;
    const inputs = graph.inputs.map((value, i) => {
      const slot = this.#arena.add(inputShapes[i] ?? [], 0);
      value.shape = slot.shape;
      this.#slots.set(value, slot);
      return slot;
    });
    try {
      for (const node of graph.nodes()) this.#visit(node);
      const outputs = graph.outputs.map((value) => ({ name: value.name, slot: this.#outputSlot(value) }));
      for (const { slot } of outputs) this.#arena.read(slot, this.#steps.length);
      const bytes = this.#arena.place();
      return { bytes, inputs, outputs, steps: this.#steps, free: () => this.#free() };
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  #free(): void {
    const { calls } = this.#shared.engine;
    const { layers, kept } = this.#own;
    for (const pointer of [...kept.values(), ...this.#ints.splice(0)]) calls.free(pointer);
    for (const layer of layers.values()) layer.free();
    kept.clear();
    layers.clear();
  }

  #outputSlot(value: Value): Slot {
    const slot = this.#slots.get(value);
    if (slot !== undefined) return slot;
    const constant = value.constant ?? this.#foldedOutputs.get(value);
    if (constant === undefined) throw new BnnError('E_FORMAT', `nothing computes the output "${value.name}"`);
    const made = this.#arena.add(constant.shape, this.#steps.length);
    const numbers = toNumbers(constant);
    this.#steps.push(() => this.#shared.engine.floats(this.#at(made), numbers.length).set(numbers));
    return made;
  }

  #at(slot: Slot): Pointer {
    return this.#shared.base + slot.offset;
  }

  #visit(node: Node): void {
    this.#infer(node);
    if (this.#fold(node)) return;
    const stem = this.#stems.get(node);
    if (stem !== undefined) this.#addStem(node, stem);
    if (this.#parts.has(node)) return;
    const operator = OPERATORS.get(node.type);
    if (operator === undefined || node.outputs.length > 1) {
      const what = operator === undefined ? node.type : `${node.type} with ${node.outputs.length} outputs`;
      throw new BnnError('E_UNSUPPORTED', `the WebAssembly engine has no operator ${what}`, {
        at: node.describe(),
        hint: 'run this file with onnxruntime (onnxruntime-web in a browser)',
      });
    }
    operator(this.#context(node));
  }

  #addStem(last: Node, stem: FloatStem): void {
    const [first = last] = stem.nodes;
    const at = first.describe();
    const x = this.#operand(first.requiredInput(0), at);
    const [batch = 0, , height = 1, width = 1] = x.shape;
    const shape = this.#knownShape(last);
    const [, , rows = 0, columns = 0] = shape;
    const { engine, stems } = this.#shared;
    const layer = cached(stems, last.output.name, () => new StemLayer(engine, stem, at));
    layer.checkPicture(height, width, at);
    const index = this.#steps.length;
    const y = this.#arena.add(shape, index);
    this.#slots.set(last.output, y);
    const size = { batch, height, width, outSize: rows * columns };
    this.#steps.push(() => layer.run(size, x.pointer(), this.#at(y)));
    const slot = this.#slots.get(first.requiredInput(0));
    if (slot !== undefined) this.#arena.read(slot, index);
  }

  #infer(node: Node): void {
    const rule = INFER_RULES.get(node.type);
    if (rule !== undefined) inferNode(node, rule, this.#model.opsets.get(node.domain) ?? 1);
  }

  /** Computes what follows from constants and shapes alone; false when the node depends on data. */
  #fold(node: Node): boolean {
    const { graph } = this.#model;
    const replace = (constant: Tensor): true => {
      const value = graph.addConstant(node.output.name, constant);
      this.#folded.set(value, node.output.name);
      if (node.type === 'Shape' || this.#isSized(node)) this.#sized.add(value);
      for (const use of [...node.output.uses]) graph.setInput(use.node, use.index, value);
      if (node.output.isOutput()) this.#foldedOutputs.set(node.output, constant);
      return true;
    };
    if (node.type === 'Shape') {
      const sizes = selectedSizes(node, node.requiredInput(0).shape);
      return sizes !== null && replace(roundExact(sizes));
    }
    const evaluate = EVALUATORS.get(node.type);
    if (evaluate === undefined) return false;
    const constants = node.inputs.map((input) => input?.constant ?? null);
    const inputs = constants.map((constant, i) => (constant === null ? null : exactInput(node, i, constant)));
    if (inputs.includes(null)) return false;
    const result = evaluate(inputs as Exact[], node, MOST_FOLDED);
    return result !== null && fitsDtype(result) && replace(roundExact(result));
  }

  #isSized({ inputs }: Node): boolean {
    return inputs.some((value) => value !== null && this.#sized.has(value));
  }

  #knownShape(node: Node): readonly number[] {
    const { shape } = node.output;
    if (shape === null || !isKnown(shape)) {
      throw new BnnError('E_UNSUPPORTED', `the shape of the result of ${node.type} depends on the data`, {
        at: node.describe(),
      });
    }
    if (elementCount(shape) > MOST_ELEMENTS) {
      throw new BnnError('E_SHAPE', `a result of shape [${shape.join(', ')}] is more than the engine takes`, {
        at: node.describe(),
      });
    }
    return shape;
  }

  #context(node: Node): StepContext {
    const { engine } = this.#shared;
    const { layers, kept } = this.#isSized(node) ? this.#own : this.#shared;
    const at = node.describe();
    const shape = this.#knownShape(node);
    const index = this.#steps.length;
    const inputs = node.inputs.map((value) => (value === null ? null : this.#operand(value, at)));
    const operand = (i: number): Operand => {
      const found = inputs[i];
      if (found === null || found === undefined) node.requiredInput(i);
      return found as Operand;
    };
    return {
      engine,
      node,
      at,
      opset: this.#model.opsets.get(node.domain) ?? 1,
      inputs,
      operand,
      input: (i) => {
        const found = operand(i);
        if (found.constant !== null) found.pointer();
        return found;
      },
      shape,
      constant: (i) => {
        const found = inputs[i];
        if (found === null || found === undefined) return undefined;
        if (found.constant !== null) return found.constant;
        throw new BnnError('E_UNSUPPORTED', `input ${i} of ${node.type} is computed, expected a constant`, { at });
      },
      output: () => {
        const slot = this.#arena.add(shape, index);
        this.#slots.set(node.output, slot);
        return { pointer: () => this.#at(slot) };
      },
      view: (i) => {
        const value = node.requiredInput(i);
        const viewed = this.#slots.get(value);
        if (viewed === undefined) throw new BnnError('E_UNSUPPORTED', `${node.type} of a constant`, { at });
        this.#slots.set(node.output, this.#arena.view(viewed, shape));
      },
      run: (step) => {
        this.#steps.push(step);
        for (const value of node.inputs) {
          const slot = value === null ? undefined : this.#slots.get(value);
          if (slot !== undefined) this.#arena.read(slot, index);
        }
      },
      layer: (of, make) => cached(layers, `${node.output.name}\n${JSON.stringify(of)}`, () => make(of)),
      keep: (name, make) => cached(kept, `${node.output.name}\n${name}`, () => engine.copyIn(make())),
      keepInts: (values) => {
        const pointer = engine.copyIn(Int32Array.from(values));
        this.#ints.push(pointer);
        return pointer;
      },
    };
  }

  #operand(value: Value, at: string): Operand {
    const { constant, dtype } = value;
    if (constant !== null) {
      const { kept } = this.#sized.has(value) ? this.#own : this.#shared;
      const key = this.#folded.get(value) ?? value.name;
      const pointer = (): Pointer => cached(kept, key, () => this.#shared.engine.copyIn(floatsOf(constant)));
      return { shape: constant.shape, dtype: constant.dtype, constant, pointer };
    }
    const slot = this.#slots.get(value);
    if (slot === undefined) throw new BnnError('E_UNSUPPORTED', `nothing computes the input "${value.name}"`, { at });
    return { shape: slot.shape, dtype: dtype ?? 'float32', constant: null, pointer: () => this.#at(slot) };
  }
}

function cached<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function floatsOf(constant: Tensor): Float32Array {
  return isDtype(constant, 'float32') ? constant.data : Float32Array.from(toNumbers(constant));
}

function isKnown(shape: readonly unknown[]): shape is readonly number[] {
  return shape.every((size) => typeof size === 'number' && Number.isInteger(size) && size >= 0);
}
