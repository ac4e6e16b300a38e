/** Parts of plug-ins as the training takes them: what they return is looked at, so that a mistake is said where it was made. */

import * as tf from '@tensorflow/tfjs-core';
import { describeValue } from '../../core/describe-value.ts';
import type { Field, Fields, ValuesOf } from '../../core/field.ts';
import type { DatasetRow } from '../../data/load-dataset.ts';
import { completeDataset } from '../../data/sets/plain-dataset.ts';
import { BnnError } from '../../errors.ts';
import type { Estimator, EstimatorSchedule } from '../../estimators/estimator.ts';
import type { EstimatorRow } from '../../estimators/table.ts';
import { Model } from '../../graph/model.ts';
import { type BaseEntry, withTwins, type ZooEntry } from '../../zoo/zoo.ts';
import type { OptimizerRow } from '../optimizers/optimizer.ts';
import type { ScheduleRow } from '../optimizers/schedule.ts';
import type { WeightTransform, WeightTransformRow } from '../optimizers/weight-transform.ts';
import type { AugmentationRow } from './augmentation.ts';
import type { DatasetSourceRow, NetworkRow } from './plugin.ts';

/** Says in messages whose part it is: `estimator "soft" of the plug-in "mine"`, and where that lies. */
export interface PartOrigin {
  readonly what: string;
  readonly at: string | undefined;
}

function fail({ what, at }: PartOrigin, message: string): never {
  throw new BnnError('E_PLUGIN', `${what} ${message}`, { at, hint: 'docs/extend.md shows a working one' });
}

/** Calls without tensors left over; the result is a tensor of its own, of the given shape. */
function owned(
  origin: PartOrigin,
  call: string,
  shape: readonly number[],
  given: readonly tf.Tensor[],
  work: () => unknown,
): tf.Tensor {
  return tf.tidy(() => ownTensor(origin, call, shape, given, work()));
}

function ownTensor(
  origin: PartOrigin,
  call: string,
  shape: readonly number[],
  given: readonly tf.Tensor[],
  result: unknown,
): tf.Tensor {
  const expected = `a tensor of [${shape.join(', ')}], float32`;
  if (!(result instanceof tf.Tensor))
    fail(origin, `returned ${describeValue(result)} from ${call}(), expected ${expected}`);
  if (result.shape.join() !== shape.join() || result.dtype !== 'float32') {
    fail(
      origin,
      `returned a tensor of [${result.shape.join(', ')}], ${result.dtype}, from ${call}(), expected ${expected}`,
    );
  }
  return given.includes(result) ? tf.clone(result) : result;
}

function requireFunctions(origin: PartOrigin, part: unknown, names: readonly string[], from = ''): void {
  for (const name of names) {
    const found = typeof part === 'object' && part !== null ? (part as Record<string, unknown>)[name] : undefined;
    if (typeof found !== 'function')
      fail(origin, `has no function ${name}()${from === '' ? '' : ` in what ${from}() returned`}`);
  }
}

export function checkedEstimator(row: EstimatorRow, origin: PartOrigin): EstimatorRow {
  requireFunctions(origin, row, ['create']);
  const { roles } = row;
  if (!Array.isArray(roles) || roles.length === 0 || !roles.every((it) => it === 'weight' || it === 'activation')) {
    fail(origin, `has roles ${describeValue(roles)}, expected a list of 'weight', 'activation' or both`);
  }
  const create: EstimatorRow['create'] = (values, role): EstimatorSchedule => {
    const made: EstimatorSchedule = row.create(values, role);
    requireFunctions(origin, made, ['at'], 'create');
    return { ...made, name: row.name, at: (epoch, epochs) => estimatorOf(made.at(epoch, epochs), row.name, origin) };
  };
  return { ...row, create };
}

function estimatorOf(made: Estimator, name: string, origin: PartOrigin): Estimator {
  requireFunctions(origin, made, ['gradient', 'factor', 'surrogate'], 'at');
  const { scale, forLayer } = made;
  return {
    name,
    get attributes() {
      return made.attributes ?? null;
    },
    ...(scale !== undefined && { scale }),
    ...(forLayer !== undefined && {
      forLayer: (layer: string) => estimatorOf(forLayer.call(made, layer), name, origin),
    }),
    surrogate: (z) => made.surrogate(z),
    factor: (z, dy) => made.factor(z, dy),
    gradient: (x, dy) => owned(origin, 'gradient', x.shape, [x, dy], () => made.gradient(x, dy)),
  };
}

/** The names of a network: its own, and those of its twins where it has any. */
export function checkedNetwork(row: NetworkRow, origin: PartOrigin): [string, ZooEntry][] {
  requireFunctions(origin, row, ['build']);
  const { describe = row.name, input, classes = 10, minImageSize = 1 } = row;
  for (const size of ['channels', 'height', 'width'] as const) {
    if (!Number.isSafeInteger(input?.[size])) fail(origin, 'has no input { channels, height, width }');
  }
  const entry: BaseEntry = {
    ...{ describe, input, classes, minImageSize },
    recipe: {
      ...{ epochs: 10, batchSize: 128, optimizer: 'adam', learningRate: 0.005, momentum: 0.9 },
      ...{ weightDecay: 0, warmupEpochs: 0, oEnd: 3 },
    },
    build: (name, options, values) => {
      const model: unknown = row.build({ ...options, name }, values);
      if (!(model instanceof Model)) {
        fail(
          origin,
          `returned ${describeValue(model)} from build(), expected a Model such as createNetwork(…).builder.model of the tools that it was given`,
        );
      }
      return model;
    },
  };
  const names = withTwins(row.name, entry);
  return row.hasTwins === true ? names : names.slice(0, 1);
}

export function checkedDataset(row: DatasetSourceRow, origin: PartOrigin): DatasetRow {
  requireFunctions(origin, row, ['load']);
  return {
    name: row.name,
    ...(row.hasFreeImageSize === true && { hasFreeImageSize: true }),
    load: async (options) => {
      const loaded = await row.load(options, { ...defaultsOf(row.fields), ...options.values });
      if (typeof loaded !== 'object' || loaded === null) {
        fail(
          origin,
          `returned ${describeValue(loaded)} from load(), expected { classes, height, width, channels, train, test }`,
        );
      }
      if ('fingerprint' in loaded) return { ...loaded, name: row.name };
      return completeDataset(row.name, loaded, options);
    },
  };
}

export function checkedSchedule(row: ScheduleRow, origin: PartOrigin): ScheduleRow {
  requireFunctions(origin, row, ['rate']);
  return {
    ...row,
    rate: (moment, values) => {
      const rate: unknown = row.rate(moment, values);
      if (typeof rate === 'number' && Number.isFinite(rate) && rate >= 0) return rate;
      return fail(
        origin,
        `gave the learning rate ${describeValue(rate)} for step ${moment.step}, expected a number of at least 0`,
      );
    },
  };
}

export function checkedTransform(row: WeightTransformRow, origin: PartOrigin): WeightTransformRow {
  requireFunctions(origin, row, ['create']);
  return {
    ...row,
    create: (epoch, epochs, values): WeightTransform => {
      const made = row.create(epoch, epochs, values);
      requireFunctions(origin, made, ['forward', 'backward'], 'create');
      return {
        forward: (w, axis) => owned(origin, 'forward', w.shape, [w], () => made.forward(w, axis)),
        backward: (w, du, axis) => owned(origin, 'backward', w.shape, [w, du], () => made.backward(w, du, axis)),
      };
    },
  };
}

export function checkedOptimizer(row: OptimizerRow, origin: PartOrigin): OptimizerRow {
  requireFunctions(origin, row, ['update']);
  const { states } = row;
  if (!Array.isArray(states) || new Set(states).size !== states.length || !states.every(isStateName)) {
    fail(origin, `has states ${describeValue(states)}, expected a list of different names such as ['velocity']`);
  }
  const { isRecordable: _, ...rest } = row;
  return {
    ...rest,
    update: (at, values) =>
      tf.tidy(() => {
        const made: unknown = row.update(at, values);
        const expected = `[param${states.map((name) => `, ${name}`).join('')}]`;
        if (!Array.isArray(made) || made.length !== states.length + 1) {
          fail(origin, `returned ${describeValue(made)} from update(), expected ${expected}`);
        }
        const given = [at.param, at.gradient, ...at.state];
        return made.map((t) => ownTensor(origin, 'update', at.param.shape, given, t)) as [tf.Tensor, ...tf.Tensor[]];
      }),
  };
}

function isStateName(name: unknown): boolean {
  return typeof name === 'string' && /^\w+$/.test(name) && !['raw', 'average_weight'].includes(name);
}

export function checkedAugmentation(row: AugmentationRow, origin: PartOrigin): AugmentationRow {
  requireFunctions(origin, row, ['create']);
  return {
    ...row,
    create: (values) => {
      const change: unknown = row.create(values);
      if (typeof change !== 'function') {
        fail(origin, `returned ${describeValue(change)} from create(), expected a function of a picture`);
      }
      return change as ReturnType<AugmentationRow['create']>;
    },
  };
}

function defaultsOf(fields: Fields): ValuesOf<Fields> {
  return Object.fromEntries(Object.entries<Field>(fields).map(([name, field]) => [name, field.default]));
}
