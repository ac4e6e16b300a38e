/** Fills a network of the zoo from a state_dict by name: the zoo names its parameters as PyTorch does. */

import { elementCount } from '../../core/tensors/shape.ts';
import { float32, type Tensor, toFloats } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import type { Model } from '../../graph/model.ts';
import { buildModel, findNetwork, ZOO, type ZooEntry } from '../../zoo/zoo.ts';
import { bitsNote, signsOfBits } from './bit-weights.ts';
import { fittingPrefixes, type NamedTensors, type NamesWanted, resolveNames } from './prefix.ts';

export interface ZooCheckpoint {
  readonly model: Model;
  readonly named: NamedTensors;
  /** Of those tensors, the ones that the network has no place for. */
  readonly unused: readonly string[];
  /** What the reader should know of how weights are taken. */
  readonly notes: readonly string[];
}

/** What belongs to a state_dict; other constants of a network are part of its structure. */
const PARAMETER = /\.(weight|bias|running_mean|running_var)$/;

type Tensors = ReadonlyMap<string, Tensor>;

/**
 * Builds a network of the zoo with the weights of a checkpoint; the number of classes is that of its classifier.
 *
 * @throws {BnnError} E_NOT_FOUND for an unknown network or missing parameters, E_SHAPE when one has another shape, and what
 *   `resolveNames` throws.
 */
export function modelFromZoo(all: Tensors, network: string, where: Omit<NamesWanted, 'names'> = {}): ZooCheckpoint {
  const { at } = where;
  const entry = findNetwork(network);
  const plain = build(entry);
  const named = resolveNames(all, { ...where, names: parametersOf(plain) });
  const { tensors, prefix } = named;
  const model = ofClasses(entry, plain, tensors);
  const missing: string[] = [];
  const used = new Set<string>();
  const notes: string[] = [];
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
          hint: fittingHint(all),
        },
      );
    }
    const signs = shape.length > 1 ? signsOfBits(found) : null;
    if (signs !== null) notes.push(bitsNote(prefix + value.name));
    model.graph.setConstant(value, signs ?? float32(shape, toFloats(found)));
  }
  if (missing.length > 0) {
    const shown = missing.slice(0, 4).join(', ') + (missing.length > 4 ? ', …' : '');
    const behind = prefix === '' ? '' : ` behind "${prefix}"`;
    throw new BnnError(
      'E_NOT_FOUND',
      `the checkpoint lacks ${missing.length} parameter${missing.length === 1 ? '' : 's'} of ${network}${behind}: ${shown}`,
      { at, hint: fittingHint(all) },
    );
  }
  return { model, named, unused: [...tensors.keys()].filter((name) => !used.has(name)), notes };
}

function build(entry: ZooEntry, classes = entry.classes): Model {
  return buildModel(entry.name, { seed: 0, classes });
}

function parametersOf({ graph }: Model): string[] {
  return Array.from(graph.constants(), ({ name }) => name).filter((name) => PARAMETER.test(name));
}

/** The network for as many classes as the classifier of the checkpoint has, where that has the right number of features. */
function ofClasses(entry: ZooEntry, plain: Model, tensors: Tensors): Model {
  const own = lastMatrix(Array.from(plain.graph.constants(), ({ constant }) => constant));
  const found = lastMatrix([...tensors.values()]);
  const classes = found?.[0] ?? entry.classes;
  // Without the check, a matrix of many rows would make a classifier of many times its size.
  return classes === entry.classes || classes === 0 || found?.[1] !== own?.[1] ? plain : build(entry, classes);
}

/** Elements that the larger networks have at least; building one only to see that it does not fit takes seconds. */
const LEAST_ELEMENTS: ReadonlyMap<string, number> = new Map(
  Object.entries<number>({
    'vgg-small': 4e6,
    'resnet18-cifar': 1e7,
    'resnet18-half': 1e7,
    resnet18: 1e7,
    resnet34: 2e7,
  }),
);

/** Convolutions that the networks in that list have at least. */
const LEAST_CONVOLUTIONS = 5;

/** The networks of the zoo whose parameters the checkpoint has, all in the right shape; every precision has the same ones. */
export function fittingNetworks(tensors: Tensors): string[] {
  let elements = 0;
  let convolutions = 0;
  for (const { shape } of tensors.values()) {
    elements += elementCount(shape);
    if (shape.length === 4) convolutions++;
  }
  return [...ZOO.values()]
    .filter(({ name, precision }) => precision === '1w1a' && elements >= (LEAST_ELEMENTS.get(name) ?? 0))
    .filter(({ name }) => !LEAST_ELEMENTS.has(name) || convolutions >= LEAST_CONVOLUTIONS)
    .filter((entry) => fits(entry, tensors))
    .map(({ name }) => name);
}

function fits(entry: ZooEntry, tensors: Tensors): boolean {
  const plain = build(entry);
  return fittingPrefixes(tensors, parametersOf(plain)).some((prefix) => {
    const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape.join()]));
    const inside = new Map([...tensors].filter(([name]) => name.startsWith(prefix)));
    return [...ofClasses(entry, plain, inside).graph.constants()].every(
      ({ name, constant }) => !PARAMETER.test(name) || shapes.get(prefix + name) === constant.shape.join(),
    );
  });
}

export function fittingHint(tensors: Tensors): string {
  const fitting = fittingNetworks(tensors);
  if (fitting.length > 0) return `it fits --network ${fitting.join(' or ')}, each also with -1w32a or -fp`;
  return 'it fits no network of the zoo; describe its layers in a file and give --mapping FILE';
}

/** The classifier comes last. */
function lastMatrix(tensors: readonly Tensor[]): readonly number[] | undefined {
  return tensors.filter(({ shape }) => shape.length === 2).at(-1)?.shape;
}
