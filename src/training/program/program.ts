/**
 * A latent graph as a differentiable tfjs program.
 *
 * The nodes become steps in execution order; every value has a slot. The program differentiates itself: it runs the steps
 * forward, then backward, so nothing depends on tfjs's gradient tape (whose registry is empty in tfjs's Node build), and a tensor
 * lives only as long as a later step or its own backward pass reads it.
 */

import * as tf from '@tensorflow/tfjs-core';
import { BnnError } from '../../errors.ts';
import type { Value } from '../../graph/graph.ts';
import { inferShapes } from '../../graph/infer/infer-shapes.ts';
import type { Model } from '../../graph/model.ts';
import type { TrainingPrecision } from '../../kernels/convolution.ts';
import { enterScope } from '../../kernels/layer-scope.ts';
import { INFER_RULES } from '../../operators/registry.ts';
import { peakElements } from '../learning/step-memory.ts';
import { buildSteps } from '../steps/build-steps.ts';
import type { BuildContext, Layout, Run } from '../steps/step.ts';
import { computeWeight, derivedWeights, stepsTo } from './derived-weights.ts';
import { download, findParameters, layoutOfConstant, type ParameterInfo, upload } from './parameters.ts';
import { type Plan, planSteps, Slots } from './plan-steps.ts';
import { backward, forward, type Kept, type Tensors } from './run-plan.ts';
import { runAtOnce, runInTurns } from './turns.ts';

export interface ProgramOptions {
  /** False for backends whose kernels know only the paddings VALID and SAME. */
  readonly explicitPadding: boolean;
  /** Whether values that could be computed again stay for the backward pass: less work, more memory. */
  readonly keepsAll?: boolean;
  /**
   * Whether kernels have finished when they return: then the gradient of a parameter can be sent as soon as its layer is done, and
   * what depends on parameters alone is computed layer by layer.
   */
  readonly synchronous?: boolean;
  /** What gradients of layers with binary weights are multiplied in; float32 unless told. */
  readonly precision?: TrainingPrecision;
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
  readonly #plan: Plan;
  /** By the name of a weight: how what is binarized of it is computed, where it is not the weight itself. */
  readonly #derived: ReadonlyMap<string, Plan>;
  /** Constants, parameters and buffers. */
  readonly #owned: Tensors = [];

  /**
   * @param model a latent model with one image input [N, C, H, W] and one output [N, classes]; the program keeps it, and `save`
   *   writes the trained tensors into it.
   * @throws {BnnError} E_UNSUPPORTED naming the first node that cannot be trained and why.
   */
  constructor(
    model: Model,
    { explicitPadding, keepsAll = false, synchronous = false, precision = 'float32' }: ProgramOptions,
  ) {
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
    const slots = new Slots();
    for (const value of [input, ...found.keys()]) slots.of(value);
    for (const [value, info] of found) layouts.set(value, info.layout);
    const context: BuildContext = {
      explicitPadding,
      precision,
      slot: (value) => slots.of(value),
      layout: (value) => layouts.get(value) ?? layoutOfConstant(value),
    };

    const steps = buildSteps(graph, context, layouts, synchronous ? 'near use' : 'first');
    this.#plan = planSteps(steps, slots, found, { input, output, keepsAll });
    this.#derived = new Map(
      derivedWeights(graph).map(({ latent, value }) => [
        latent.name,
        planSteps(stepsTo(value, steps), slots, found, { input, output: value, keepsAll }),
      ]),
    );

    for (const step of steps) {
      for (const value of step.inputs) {
        const slot = slots.of(value);
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
    return peakElements(this.#plan.steps, input, batch, isTraining);
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
    const slots: Tensors = [];
    const run = this.#training({ ...settings, statisticsKeep: keep }, slots);
    const engine = tf.engine();
    engine.startScope();
    try {
      await runInTurns(forward(this.#plan, this.#owned, x, run, null, slots));
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
    const current = this.#owned[this.#plan.slotOf.get(name) ?? -1];
    if (current === undefined) throw new Error(`internal: no parameter "${name}"`);
    return current;
  }

  /** What is binarized of a weight: the parameter, or what the graph computes of it. The caller's. */
  binarized(name: string): tf.Tensor {
    const plan = this.#derived.get(name);
    return plan === undefined ? tf.clone(this.parameter(name)) : computeWeight(plan, this.#owned);
  }

  /** Replaces a parameter or buffer; the program owns the tensor afterwards. */
  setParameter(name: string, value: tf.Tensor): void {
    const slot = this.#plan.slotOf.get(name);
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

  #replace(slot: number, value: tf.Tensor): void {
    this.#owned[slot]?.dispose();
    this.#owned[slot] = tf.keep(value);
  }

  /** @param slots  what the pass reads: a layer that is used again moves its statistics again. */
  #training(settings: RunSettings, slots: Tensors): Run {
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
    return forward(this.#plan, this.#owned, x, { ...settings, training: false, setBuffer: refuseBuffer }, null);
  }

  *#differentiate<L>(
    x: tf.Tensor,
    settings: RunSettings,
    lossGradient: LossGradient<L>,
  ): Generator<void, Gradients<L>> {
    const kept: Kept = { slots: [], saved: [], shapes: [] };
    const run = this.#training(settings, kept.slots);
    const logits = yield* forward(this.#plan, this.#owned, x, run, kept);
    enterScope('loss');
    const { loss, dlogits } = lossGradient(logits);
    const gradients = yield* backward(this.#plan, run, kept, dlogits);
    return { loss, gradients };
  }
}

function refuseBuffer(): never {
  throw new Error('internal: evaluation must not move running statistics');
}
