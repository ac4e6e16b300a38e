/** All that learning changes: the program's tensors, latent weights, the state of the optimizer, averages, and what estimators learn. */

import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { rowNamed } from '../../core/row-named.ts';
import type { Tensor } from '../../core/tensors/tensor.ts';
import { DeployedWeights } from '../measures/deployed-weights.ts';
import { IndicatorProbe, type ProbeOptions } from '../measures/indicator-probe.ts';
import { clipByGroup } from '../optimizers/clip-gradients.ts';
import { LatentWeights, type TransformSchedule } from '../optimizers/latent-weights.ts';
import { Optimizer, type OptimizerRow } from '../optimizers/optimizer.ts';
import { SilentWeights, wakesSilent } from '../optimizers/silent-weights.ts';
import type { WeightTransformRow } from '../optimizers/weight-transform.ts';
import type { createEstimators } from '../program/create-estimators.ts';
import type { Program } from '../program/program.ts';
import { type Recipe, valuesOf } from '../recipes/recipe.ts';
import type { Checkpoint } from '../sessions/checkpoint-io.ts';
import type { Team } from './team.ts';

type Estimators = ReturnType<typeof createEstimators>;

export interface LearnedParts {
  readonly estimators: Estimators;
  readonly optimizer: OptimizerRow;
  readonly weightTransforms: readonly WeightTransformRow[];
  /** What the weight transform starts from, where that is not the weights of the model. */
  readonly latent: ReadonlyMap<string, Tensor> | undefined;
  /** Gives the network the statistics of the weights that it has. */
  readonly adaptStatistics: (epoch: number) => Promise<void>;
  /** Null where the recipe wants no indicators. */
  readonly probe: ProbeOptions | null;
}

export class LearnedState {
  readonly #program: Program;
  readonly #recipe: Recipe;
  readonly #estimators: Estimators;
  readonly #optimizer: Optimizer;
  /** Null where the recipe does nothing about weights that hardly change their sign. */
  readonly #silent: SilentWeights | null;
  readonly weights: LatentWeights;
  readonly deployed: DeployedWeights;
  readonly probe: IndicatorProbe | null;

  /** @param program  taken over, like the estimators of `parts`: `dispose` frees them, too. */
  constructor(program: Program, recipe: Recipe, parts: LearnedParts) {
    this.#program = program;
    this.#recipe = recipe;
    this.#estimators = parts.estimators;
    this.weights = new LatentWeights(program, transformOf(recipe, parts.weightTransforms), parts.latent);
    this.#optimizer = new Optimizer(this.weights, { ...recipe, optimizer: parts.optimizer, values: valuesOf(recipe) });
    this.#silent = wakesSilent(recipe)
      ? new SilentWeights(this.weights, (name) => program.binarized(name), recipe)
      : null;
    this.deployed = new DeployedWeights(program, this.weights, recipe, parts.adaptStatistics);
    this.probe = parts.probe === null ? null : new IndicatorProbe(program, parts.probe);
  }

  /** Steps taken since the run began. */
  get steps(): number {
    return this.#optimizer.step;
  }

  /** The weights of an epoch: how far they are transformed depends on it. */
  setEpoch(epoch: number): void {
    this.weights.setEpoch(epoch, this.#recipe.epochs);
    this.#silent?.begin();
  }

  /**
   * A step along the gradients of the network's weights, which it takes over.
   *
   * @param sumUp  sums over all processes that learn together.
   */
  async update(
    learned: ReadonlyMap<string, tf.Tensor>,
    { lr, epoch, sumUp }: { readonly lr: number; readonly epoch: number; readonly sumUp: Team['sumUp'] | undefined },
  ): Promise<void> {
    let gradients = this.weights.toLatent(learned);
    if (this.#silent !== null) gradients = this.#silent.apply(gradients);
    const { clipGradients: limit, clipGradientsBy: group } = this.#recipe;
    if (limit > 0) gradients = await clipByGroup(gradients, limit, group, this.#program.parameters);
    this.#optimizer.apply(gradients, lr, epoch);
    for (const sharpness of this.#estimators.learned) await sharpness.apply(lr, this.steps, sumUp);
    this.deployed.afterStep(this.steps);
    this.probe?.afterStep();
  }

  /** Counts a step that was replayed. */
  advance(): void {
    this.#optimizer.advance();
  }

  /** All tensors that a step replaces. */
  tensors(): tf.Tensor[] {
    return [...this.#program.tensors(), ...this.#beside(), ...(this.probe?.tensors() ?? [])];
  }

  /** Of latent weights, optimizer and averages. */
  #beside(): tf.Tensor[] {
    return [
      ...this.weights.tensors(),
      ...this.#optimizer.tensors(),
      ...(this.#silent?.tensors() ?? []),
      ...this.deployed.tensors(),
    ];
  }

  /** Makes sure that all processes have learned the same. */
  async assertSame(team: Team): Promise<void> {
    const { parameters } = this.#program;
    const named = [...parameters.keys()].map((name): [string, tf.Tensor] => [name, this.#program.parameter(name)]);
    const states = this.#beside().map((t, i): [string, tf.Tensor] => [`state ${i + 1} of the optimizer`, t]);
    const copies = this.#ofEstimators().map(([name, { data }]): [string, tf.Tensor] => [
      name,
      tf.tensor1d(data as Float32Array),
    ]);
    try {
      await team.assertSameTensors([...named, ...states, ...copies]);
    } finally {
      for (const [, t] of copies) t.dispose();
    }
  }

  #ofEstimators(): [string, Tensor][] {
    return this.#estimators.learned.flatMap((estimator) => [...estimator.save()]);
  }

  /** @param epoch  the one just evaluated, so that the model is what was; null within epochs and before the first. */
  async save(epoch: number | null): Promise<Pick<Checkpoint, 'model' | 'optimizer'>> {
    const weights = await this.deployed.save();
    const learned = this.#ofEstimators();
    const model = await this.deployed.during(epoch, () => this.#program.save());
    const optimizer = new Map<string, Tensor>([
      ...(await this.#optimizer.save()),
      ...((await this.#silent?.save()) ?? []),
      ...weights,
      ...((await this.probe?.save()) ?? []),
      ...learned,
    ]);
    return { model, optimizer };
  }

  /** @param folder  where the checkpoint lies, for messages. */
  restore({ optimizer, state }: Checkpoint, folder: string): void {
    const at = join(folder, 'optimizer.safetensors');
    this.deployed.restore(optimizer, at);
    this.#optimizer.restore(optimizer, state.step, at);
    this.#silent?.restore(optimizer, at);
    for (const learned of this.#estimators.learned) learned.restore(optimizer);
    if (state.step > 0) this.probe?.restore(optimizer, at);
  }

  dispose(): void {
    this.probe?.dispose();
    this.deployed.dispose();
    this.#optimizer.dispose();
    this.#silent?.dispose();
    for (const learned of this.#estimators.learned) learned.dispose();
    this.weights.dispose();
    this.#program.dispose();
  }
}

function transformOf(recipe: Recipe, rows: readonly WeightTransformRow[]): TransformSchedule | null {
  if (recipe.weightTransform === 'none') return null;
  const row = rowNamed(rows, recipe.weightTransform);
  return (epoch, epochs) => row.create(epoch, epochs, valuesOf(recipe));
}
