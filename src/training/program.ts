/**
 * A latent graph as a differentiable tfjs program.
 *
 * The nodes become steps in execution order; every value has a slot. The program differentiates itself: it runs the steps
 * forward, then backward, so nothing depends on tfjs's gradient tape (whose registry is empty in tfjs's Node build), and a tensor
 * lives only as long as a later step or its own backward pass reads it.
 */

import * as tf from '@tensorflow/tfjs-core';
import { isOutOfMemory } from '../backends/out-of-memory.ts';
import { BnnError } from '../errors.ts';
import type { Value } from '../graph/graph.ts';
import { inferShapes } from '../graph/infer/infer-shapes.ts';
import type { Model } from '../graph/model.ts';
import type { Precision } from '../kernels/convolution.ts';
import { enterScope } from '../kernels/layer-scope.ts';
import { INFER_RULES } from '../operators/registry.ts';
import { download, findParameters, type ParameterInfo, upload, weightSource } from './parameters.ts';
import { peakElements, type StepLifetimes } from './step-memory.ts';
import { buildSteps } from './steps/build-steps.ts';
import type { BuildContext, Layout, Run, Step } from './steps/step.ts';
import { runAtOnce, runInTurns } from './turns.ts';

type PlannedStep = StepLifetimes;

export interface ProgramOptions {
  /** False for backends whose kernels know only the paddings VALID and SAME. */
  readonly explicitPadding: boolean;
  /** Whether values that could be computed again stay for the backward pass: less work, more memory. */
  readonly keepsAll?: boolean;
  /** What gradients of layers with binary weights are multiplied in; float32 unless told. */
  readonly precision?: Precision;
}

export type RunSettings = Omit<Run, 'training' | 'setBuffer'>;

/** The gradient of the loss with respect to the logits, and whatever the caller wants to know of the loss. */
type LossGradient<L> = (logits: tf.Tensor) => { readonly loss: L; readonly dlogits: tf.Tensor };

/** Gradients of all trainable parameters by name, plus what the caller's loss returned. */
export interface Gradients<L> {
  readonly loss: L;
  readonly gradients: ReadonlyMap<string, tf.Tensor>;
}

export class Program {
  readonly model: Model;
  /** Trainable parameters and buffers, by name, in the order in which the network uses them. */
  readonly parameters: ReadonlyMap<string, ParameterInfo>;
  readonly #steps: readonly PlannedStep[];
  readonly #slots = new Map<Value, number>();
  readonly #owned: (tf.Tensor | undefined)[] = [];
  readonly #slotOf = new Map<string, number>();
  readonly #input: number;
  readonly #output: number;
  /** Names of the parameters whose gradient is complete after the backward pass of a step, by its position. */
  readonly #completed: readonly (readonly string[])[];

  /**
   * @param model a latent model with one image input [N, C, H, W] and one output [N, classes]; the program keeps it, and `save`
   *   writes the trained tensors into it.
   * @throws {BnnError} E_UNSUPPORTED naming the first node that cannot be trained and why.
   */
  constructor(model: Model, { explicitPadding, keepsAll = false, precision = 'float32' }: ProgramOptions) {
    this.model = model;
    model.graph.sortTopologically();
    inferShapes(model, INFER_RULES);
    const { graph } = model;
    const [input] = graph.inputs;
    const [output] = graph.outputs;
    if (input === undefined || output === undefined || graph.inputs.length !== 1 || graph.outputs.length !== 1) {
      throw new BnnError(
        'E_UNSUPPORTED',
        `training needs one input and one output, the graph has ${graph.inputs.length} and ${graph.outputs.length}`,
        { at: `graph "${graph.name}"` },
      );
    }

    const found = findParameters(graph);
    this.parameters = new Map([...found.values()].map((info) => [info.name, info]));
    const layouts = new Map<Value, Layout>([[input, input.shape?.length === 4 ? 'nhwc' : 'plain']]);
    this.#input = this.#slot(input);
    for (const [value, info] of found) {
      layouts.set(value, info.layout);
      this.#slotOf.set(info.name, this.#slot(value));
    }
    const context: BuildContext = {
      explicitPadding,
      precision,
      slot: (value) => this.#slot(value),
      layout: (value) => layouts.get(value) ?? (value.constant?.shape.length === 4 ? 'nhwc' : 'plain'),
    };

    const steps = buildSteps(graph, context, layouts);
    this.#steps = this.#plan(steps, found, output, keepsAll);
    this.#output = this.#slot(output);
    this.#completed = this.#completions();

    for (const step of steps) {
      for (const value of step.inputs) {
        const slot = this.#slot(value);
        if (value.constant !== null && this.#owned[slot] === undefined) {
          this.#owned[slot] = tf.keep(upload(value.constant, context.layout(value)));
        }
      }
    }
  }

  /** Whether training draws random numbers on the host. */
  get drawsRandomly(): boolean {
    return [...this.model.graph.nodes()].some((node) => node.is('Dropout'));
  }

  /** As `peakElements`, of a batch of so many pictures. */
  peakElements(batch: number, isTraining: boolean): number {
    const [input] = this.model.graph.inputs;
    if (input === undefined) throw new Error('internal: the program has no input');
    return peakElements(this.#steps, input, batch, isTraining);
  }

  /** Logits [N, classes] of images [N, H, W, C]; running statistics, nothing kept. */
  infer(x: tf.Tensor, settings: RunSettings): tf.Tensor {
    return runAtOnce(this.#infer(x, settings));
  }

  /** The same, with turns for the event loop between layers. */
  inferInTurns(x: tf.Tensor, settings: RunSettings): Promise<tf.Tensor> {
    return runInTurns(this.#infer(x, settings));
  }

  /**
   * One training pass: batch statistics (the running ones move, unless `statisticsKeep` is 1), then gradients.
   *
   * @returns gradients by parameter name, owned by the caller, in the layout of the program.
   */
  differentiate<L>(x: tf.Tensor, settings: RunSettings, lossGradient: LossGradient<L>): Gradients<L> {
    return runAtOnce(this.#differentiate(x, settings, lossGradient));
  }

  /** The same, with turns for the event loop between layers. Until it is done, nobody may touch the program. */
  differentiateInTurns<L>(x: tf.Tensor, settings: RunSettings, lossGradient: LossGradient<L>): Promise<Gradients<L>> {
    return runInTurns(this.#differentiate(x, settings, lossGradient));
  }

  /**
   * Moves the running statistics towards those of a batch; nothing else happens.
   *
   * @param keep  what is left of the running ones, in place of the momentum of each normalization; 0 replaces them.
   */
  async adoptStatistics(x: tf.Tensor, settings: RunSettings, keep: number): Promise<void> {
    const slots: (tf.Tensor | undefined)[] = [];
    const run = this.#training({ ...settings, statisticsKeep: keep }, slots);
    const engine = tf.engine();
    engine.startScope();
    try {
      await runInTurns(this.#forward(x, run, null, slots));
    } finally {
      engine.endScope();
    }
  }

  /** The current tensors of all parameters and buffers, in the order of `parameters`; still owned by the program. */
  tensors(): tf.Tensor[] {
    return Array.from(this.parameters.keys(), (name) => this.parameter(name));
  }

  /** The current tensor of a parameter or buffer; still owned by the program. */
  parameter(name: string): tf.Tensor {
    const current = this.#owned[this.#slotOf.get(name) ?? -1];
    if (current === undefined) throw new Error(`internal: no parameter "${name}"`);
    return current;
  }

  /** Replaces a parameter or buffer; the program owns the tensor afterwards. */
  setParameter(name: string, value: tf.Tensor): void {
    const slot = this.#slotOf.get(name);
    if (slot === undefined) throw new Error(`internal: no parameter "${name}"`);
    this.#replace(slot, value);
  }

  /** Writes all parameters and buffers into the model's constants. */
  async save(): Promise<Model> {
    for (const info of this.parameters.values()) {
      const value = this.model.graph.values.get(info.name);
      if (value === undefined) throw new Error(`internal: the model lost "${info.name}"`);
      this.model.graph.setConstant(value, await download(this.parameter(info.name), info));
    }
    return this.model;
  }

  dispose(): void {
    for (const t of this.#owned) t?.dispose();
    this.#owned.length = 0;
  }

  #slot(value: Value): number {
    const known = this.#slots.get(value);
    if (known !== undefined) return known;
    const slot = this.#slots.size;
    this.#slots.set(value, slot);
    return slot;
  }

  #replace(slot: number, value: tf.Tensor): void {
    this.#owned[slot]?.dispose();
    this.#owned[slot] = tf.keep(value);
  }

  /** Decides where gradients flow and how long tensors live. */
  #plan(
    steps: readonly Step[],
    found: ReadonlyMap<Value, ParameterInfo>,
    output: Value,
    keepsAll: boolean,
  ): PlannedStep[] {
    const differentiable = new Set<Value>();
    for (const [value, info] of found) if (info.role !== 'buffer') differentiable.add(value);
    const lastRead = new Map<number, number>();
    const readByBackward = new Set<number>();
    const computed = new Set<number>();
    const recomputable = new Set<number>();
    const planned = steps.map((step, index) => {
      const needs = step.inputs.map((value) => differentiable.has(value));
      const inputs = step.inputs.map((value) => this.#slot(value));
      const slot = this.#slot(step.output);
      computed.add(slot);
      if (step.recompute !== undefined && !keepsAll) recomputable.add(slot);
      lastRead.set(slot, index);
      for (const input of inputs) lastRead.set(input, index);
      if (needs.includes(true)) {
        differentiable.add(step.output);
        for (const position of step.readsInputs) readByBackward.add(inputs[position] ?? -1);
        if (step.readsOutput) readByBackward.add(slot);
      }
      return { step, inputs, output: slot, needs };
    });
    const result = this.#slot(output);
    const free = planned.map((): { inference: number[]; training: number[] } => ({ inference: [], training: [] }));
    for (const [slot, index] of lastRead) {
      if (!computed.has(slot) || slot === result) continue;
      free[index]?.inference.push(slot);
      if (!readByBackward.has(slot) || recomputable.has(slot)) free[index]?.training.push(slot);
    }
    return planned.map((step, index) => ({
      ...step,
      freeInference: free[index]?.inference ?? [],
      freeTraining: free[index]?.training ?? [],
    }));
  }

  /** A parameter's gradient is complete when the first of the steps that read it is done, which comes last. */
  #completions(): string[][] {
    const completed: string[][] = this.#steps.map(() => []);
    for (const [name, slot] of this.#slotOf) {
      const first = this.#steps.findIndex(({ inputs, needs }) => needs[inputs.indexOf(slot)] === true);
      completed[first]?.push(name);
    }
    return completed;
  }

  /** @param slots  what the pass reads: a layer that is used again moves its statistics again. */
  #training(settings: RunSettings, slots: (tf.Tensor | undefined)[]): Run {
    const setBuffer = (slot: number, value: tf.Tensor): void => {
      if (settings.statisticsKeep === 1) {
        value.dispose();
        return;
      }
      this.#replace(slot, value);
      slots[slot] = value;
    };
    return { ...settings, training: true, setBuffer };
  }

  #infer(x: tf.Tensor, settings: RunSettings): Generator<void, tf.Tensor> {
    return this.#forward(x, { ...settings, training: false, setBuffer: refuseBuffer }, null);
  }

  *#differentiate<L>(
    x: tf.Tensor,
    settings: RunSettings,
    lossGradient: LossGradient<L>,
  ): Generator<void, Gradients<L>> {
    const slots: (tf.Tensor | undefined)[] = [];
    const run = this.#training(settings, slots);
    const saved: (readonly tf.Tensor[])[] = [];
    const shapes: (readonly number[])[] = [];
    const logits = yield* this.#forward(x, run, { slots, saved, shapes });
    enterScope('loss');
    const { loss, dlogits } = lossGradient(logits);
    const gradients = yield* this.#backward(run, { slots, saved, shapes }, dlogits);
    return { loss, gradients };
  }

  /** Runs all steps; with `keep`, leaves in it what the backward pass reads. The caller owns the result unless it is kept. */
  *#forward(
    x: tf.Tensor,
    run: Run,
    keep: Kept | null,
    slots: (tf.Tensor | undefined)[] = keep?.slots ?? [],
  ): Generator<void, tf.Tensor> {
    for (const [slot, owned] of this.#owned.entries()) slots[slot] = owned;
    slots[this.#input] = x;
    if (keep !== null) for (const [slot, t] of slots.entries()) keep.shapes[slot] = t?.shape ?? [];
    for (const { step, inputs, output, freeInference, freeTraining } of this.#steps) {
      enterScope(scopeOf(step));
      const result = runForward(
        step,
        inputs.map((slot) => required(slots[slot], step)),
        run,
      );
      slots[output] = result.output;
      if (keep !== null) keep.shapes[output] = result.output.shape;
      keep?.saved.push(result.saved ?? []);
      for (const slot of keep === null ? freeInference : freeTraining) {
        slots[slot]?.dispose();
        slots[slot] = undefined;
      }
      yield;
    }
    const logits = slots[this.#output];
    if (logits === undefined) throw new Error('internal: the program computed no output');
    return logits;
  }

  /** Computes the output of a step again, if it was not kept. */
  #restore(slot: number, kept: Kept): void {
    const { slots, saved } = kept;
    if (slots[slot] !== undefined) return;
    const index = this.#steps.findIndex(({ output }) => output === slot);
    const { step, inputs } = this.#steps[index] ?? {};
    if (step?.recompute === undefined || inputs === undefined) throw new Error('internal: a value was not kept');
    for (const input of inputs) this.#restore(input, kept);
    slots[slot] = step.recompute(
      inputs.map((input) => required(slots[input], step)),
      saved[index] ?? [],
    );
  }

  *#backward(run: Run, { slots, saved, shapes }: Kept, dlogits: tf.Tensor): Generator<void, Map<string, tf.Tensor>> {
    const gradients: (tf.Tensor | undefined)[] = [];
    gradients[this.#output] = dlogits;
    // Disposed inputs and outputs are not read by the steps that declared so; any tensor serves as their stand-in.
    for (let index = this.#steps.length - 1; index >= 0; index--) {
      const planned = this.#steps[index];
      if (planned === undefined) continue;
      const { step, inputs, output, needs } = planned;
      const dy = gradients[output];
      const kept = saved[index] ?? [];
      if (dy !== undefined && needs.includes(true)) {
        enterScope(scopeOf(step));
        for (const position of step.readsInputs) this.#restore(inputs[position] ?? -1, { slots, saved, shapes });
        const sums = inputs.map((slot, position) => (step.addsTo?.includes(position) ? gradients[slot] : undefined));
        const results = step.backward({
          dy,
          inputs: inputs.map((slot) => slots[slot] ?? dy),
          inputShapes: inputs.map((slot) => shapes[slot] ?? []),
          output: slots[output] ?? dy,
          saved: kept,
          needs,
          sums,
          run,
        });
        for (const [position, slot] of inputs.entries()) {
          const gradient = results[position] ?? null;
          if (gradient === null) continue;
          if (!needs[position]) {
            gradient.dispose();
          } else if (sums[position] === undefined) {
            gradients[slot] = accumulate(gradients[slot], gradient);
          } else {
            gradients[slot]?.dispose();
            gradients[slot] = gradient;
          }
        }
      }
      for (const t of kept) t.dispose();
      dy?.dispose();
      gradients[output] = undefined;
      slots[output]?.dispose();
      slots[output] = undefined;
      for (const name of this.#completed[index] ?? []) {
        const gradient = gradients[this.#slotOf.get(name) ?? -1];
        if (gradient !== undefined) run.onGradient?.(name, gradient);
      }
      yield;
    }
    const result = new Map<string, tf.Tensor>();
    for (const [name, slot] of this.#slotOf) {
      const gradient = gradients[slot];
      if (gradient !== undefined) result.set(name, gradient);
    }
    return result;
  }
}

interface Kept {
  readonly slots: (tf.Tensor | undefined)[];
  readonly saved: (readonly tf.Tensor[])[];
  /** Of every slot, also of those that are freed. */
  readonly shapes: (readonly number[])[];
}

/** What a step is called in profiles: by its weight, else by what it computes. */
function scopeOf({ inputs, output }: Step): string {
  const weight = inputs.map((value) => weightSource(value)?.constant).find((constant) => constant !== undefined);
  return weight === undefined ? output.name : weight.name.replace(/\.[^.]*$/, '');
}

function accumulate(sum: tf.Tensor | undefined, gradient: tf.Tensor): tf.Tensor {
  if (sum === undefined) return gradient;
  const total = tf.add(sum, gradient);
  sum.dispose();
  gradient.dispose();
  return total;
}

function required(t: tf.Tensor | undefined, step: Step): tf.Tensor {
  if (t === undefined) throw new Error(`internal: an input of the step for "${step.output.name}" is not computed`);
  return t;
}

/** @throws {BnnError} E_SHAPE where sizes that the graph leaves open turn out not to fit. */
function runForward(step: Step, inputs: readonly tf.Tensor[], run: Run): ReturnType<Step['forward']> {
  try {
    return step.forward(inputs, run);
  } catch (error) {
    const isOpen = [...step.inputs, step.output].some(({ shape }) => shape === null || shape.includes(null));
    if (!isOpen || !(error instanceof Error) || error instanceof BnnError || isOutOfMemory(error)) throw error;
    const found = inputs.map(({ shape }) => `[${shape.join(', ')}]`).join(' and ');
    throw new BnnError('E_SHAPE', `sizes that the graph leaves open do not fit: ${found}`, {
      at: step.output.producer?.describe(),
      hint: 'a reshape before it mixes pictures',
      cause: error,
    });
  }
}

function refuseBuffer(): never {
  throw new Error('internal: evaluation must not move running statistics');
}
