/** Fills a network of the zoo from a state_dict by name: the zoo names its parameters as PyTorch does. */

import { elementCount } from '../../core/shape.ts';
import { float32, type Tensor, toNumbers } from '../../core/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Model } from '../../graph/model.ts';
import { buildModel, findNetwork, ZOO } from '../../zoo/zoo.ts';

export interface ZooCheckpoint {
  readonly model: Model;
  /** Entries of the state_dict that the network has no place for. */
  readonly unused: readonly string[];
}

/** What belongs to a state_dict; other constants of a network are part of its structure. */
const PARAMETER = /\.(weight|bias|running_mean|running_var)$/;
/** Counters that inference does not need. */
const IGNORED = /\.num_batches_tracked$/;

type Tensors = ReadonlyMap<string, Tensor>;

/**
 * Builds a network of the zoo with the weights of a checkpoint; the number of classes is that of its classifier.
 *
 * @throws {BnnError} E_NOT_FOUND for an unknown network or missing parameters, E_SHAPE when one has another shape.
 */
export function modelFromZoo(tensors: Tensors, network: string, at?: string): ZooCheckpoint {
  const entry = findNetwork(network);
  const model = buildModel(entry.name, { seed: 0, classes: classesOf(tensors) ?? entry.classes });
  const missing: string[] = [];
  const used = new Set<string>();
  for (const value of model.graph.constants()) {
    if (!PARAMETER.test(value.name)) continue;
    const found = tensors.get(value.name);
    if (found === undefined) {
      missing.push(value.name);
      continue;
    }
    used.add(value.name);
    const { shape } = value.constant;
    if (elementCount(shape) !== elementCount(found.shape) || shape.join() !== found.shape.join()) {
      throw new BnnError(
        'E_SHAPE',
        `${value.name} is [${found.shape.join(', ')}], ${network} needs [${shape.join(', ')}]`,
        {
          at,
          hint: fittingHint(tensors),
        },
      );
    }
    model.graph.setConstant(value, float32(shape, toNumbers(found)));
  }
  if (missing.length > 0) {
    const shown = missing.slice(0, 4).join(', ') + (missing.length > 4 ? ', …' : '');
    throw new BnnError('E_NOT_FOUND', `the checkpoint lacks ${missing.length} parameters of ${network}: ${shown}`, {
      at,
      hint: fittingHint(tensors),
    });
  }
  const unused = [...tensors.keys()].filter((name) => !used.has(name) && !IGNORED.test(name));
  return { model, unused };
}

/** Elements that the larger networks have at least; building one only to see that it does not fit takes seconds. */
const LEAST_ELEMENTS: Readonly<Record<string, number>> = {
  'vgg-small': 4e6,
  'resnet18-cifar': 1e7,
  resnet18: 1e7,
  resnet34: 2e7,
};

/** The networks of the zoo whose parameters the checkpoint has, all in the right shape; every precision has the same ones. */
export function fittingNetworks(tensors: Tensors): string[] {
  const classes = classesOf(tensors);
  let elements = 0;
  for (const { shape } of tensors.values()) elements += elementCount(shape);
  return [...ZOO.values()]
    .filter(({ name, precision }) => precision === '1w1a' && elements >= (LEAST_ELEMENTS[name] ?? 0))
    .filter((entry) => {
      const { graph } = buildModel(entry.name, { seed: 0, classes: classes ?? entry.classes });
      return [...graph.constants()].every(
        ({ name, constant }) => !PARAMETER.test(name) || tensors.get(name)?.shape.join() === constant.shape.join(),
      );
    })
    .map(({ name }) => name);
}

export function fittingHint(tensors: Tensors): string {
  const fitting = fittingNetworks(tensors);
  if (fitting.length > 0) return `it fits --network ${fitting.join(' or ')}, each also with -1w32a or -fp`;
  return 'it fits no network of the zoo; describe its layers in a file and give --mapping FILE';
}

/** Rows of the last matrix: the classifier comes last. */
function classesOf(tensors: Tensors): number | undefined {
  return [...tensors.values()].filter(({ shape }) => shape.length === 2).at(-1)?.shape[0];
}
