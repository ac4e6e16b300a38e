/** Builds the network that a mapping describes, in standard operators: a foreign model like any other. */

import { nearest } from '../../core/nearest.ts';
import { permute } from '../../core/tensors/permute.ts';
import { float32, scalar, type Tensor, tensor, toFloats } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';
import { type Attribute, type Attributes, float, int, ints, string } from '../../graph/attribute.ts';
import { Builder } from '../../graph/builder.ts';
import type { Shape, Value } from '../../graph/graph.ts';
import { STANDARD_RULES } from '../../graph/infer/standard-rules.ts';
import type { Model } from '../../graph/model.ts';
import { GAMMA_OR_BETA } from '../keras/numbered-variables.ts';
import { bitsNote, signsOfBits } from './bit-weights.ts';
import { type MappedLayer, type Mapping, namesOf, SIMPLE_OPERATORS, type Without, type ZeroRule } from './mapping.ts';
import { type NamedTensors, type NamesWanted, resolveNames } from './prefix.ts';

export interface MappedModel {
  readonly model: Model;
  readonly named: NamedTensors;
  /** Of those tensors, the ones that no layer names. */
  readonly unused: readonly string[];
  /** What the reader should know of how weights are taken. */
  readonly notes: readonly string[];
}

/**
 * Builds a model: input "input" f32[N, ...mapping.input], output "logits". Signs give at 0 what
 * the mapping says: what that means for the layers is for the conversion to find out.
 *
 * @throws {BnnError} E_NOT_FOUND for a name that the checkpoint lacks, E_SHAPE when layers do not fit each other, and what
 *   `resolveNames` throws.
 */
export function modelFromMapping(
  tensors: ReadonlyMap<string, Tensor>,
  mapping: Mapping,
  where: Omit<NamesWanted, 'names'> = {},
): MappedModel {
  const named = resolveNames(tensors, { ...where, names: namesOf(mapping) });
  const network = new MappedNetwork(named, mapping.input, where.at);
  for (const layer of mapping.layers) network.add(layer);
  return { ...network.finish(), named };
}

class MappedNetwork {
  readonly #builder = new Builder('main');
  readonly #tensors: Map<string, Tensor>;
  readonly #prefix: string;
  readonly #at: string | undefined;
  readonly #used = new Set<string>();
  readonly #notes: string[] = [];
  #x: Value;
  #count = 0;

  constructor({ tensors, prefix }: NamedTensors, input: readonly number[], at: string | undefined) {
    this.#tensors = new Map(tensors);
    this.#prefix = prefix;
    this.#at = at;
    this.#x = this.#builder.input('input', 'float32', ['N', ...input]);
  }

  add(layer: MappedLayer): void {
    this.#count++;
    try {
      this.#x = this.#layer(layer);
    } catch (error) {
      if (!(error instanceof BnnError) || error.code !== 'E_SHAPE') throw error;
      throw new BnnError(
        'E_SHAPE',
        `layer ${this.#count} (${layer.op}) does not fit the checkpoint: ${error.message}`,
        {
          at: this.#at,
          hint: 'compare the mapping with the shapes that bnn-inspect lists',
          cause: error,
        },
      );
    }
  }

  #layer(layer: MappedLayer): Value {
    switch (layer.op) {
      case 'linear':
      case 'conv':
        return this.#product(layer);
      case 'batch-norm':
        return this.#batchNorm(layer.prefix, layer.epsilon, layer.without);
      case 'sign':
        return this.#sign(this.#x, layer.zero);
      case 'affine':
        return this.#affine(layer.scale, layer.offset);
      case 'prelu':
        return this.#prelu(layer.weight);
      case 'flatten':
        return this.#flatten(layer.channels);
      case 'max-pool':
      case 'average-pool': {
        const { kernel, stride, pad } = layer;
        const axes = Math.max(1, (this.#x.shape?.length ?? 4) - 2);
        const attributes = {
          kernel_shape: repeated(kernel, axes),
          strides: repeated(stride, axes),
          pads: repeated(pad, 2 * axes),
        };
        if (layer.op === 'max-pool') return this.#op('MaxPool', [this.#x], attributes);
        const counts: Attributes = layer.countPad && pad > 0 ? { count_include_pad: int(1) } : {};
        return this.#op('AveragePool', [this.#x], { ...attributes, ...counts });
      }
      default: {
        const bounds = layer.op === 'hardtanh' ? [this.#number(-1), this.#number(1)] : [];
        const isSoftmax = layer.op === 'softmax' || layer.op === 'log-softmax';
        const attributes: Attributes = isSoftmax ? { axis: int(-1) } : {};
        return this.#op(SIMPLE_OPERATORS[layer.op], [this.#x, ...bounds], attributes);
      }
    }
  }

  finish(): Omit<MappedModel, 'named'> {
    const { model } = this.#builder;
    const logits = this.#builder.op('Identity', [this.#x], {}, '', 'logits');
    const shape: Shape = this.#x.shape ?? ['N', null];
    this.#builder.output(logits, 'float32', shape);
    const unused = [...this.#tensors.keys()].filter((name) => !this.#used.has(name));
    return { model, unused, notes: this.#notes };
  }

  #product(layer: Extract<MappedLayer, { op: 'linear' | 'conv' }>): Value {
    if (layer.op === 'conv') this.#arrangeDepthwise(layer.weight, layer.groups);
    if (layer.binary) this.#arrangeBits(layer.weight);
    const weight = this.#parameter(layer.weight);
    const shape = weight.shape ?? [];
    const rank = layer.op === 'linear' ? 2 : Math.max(shape.length, 3);
    if (shape.length !== rank) {
      throw new BnnError(
        'E_SHAPE',
        `${layer.weight} has ${shape.length} dimensions, a ${layer.op} layer needs ${rank}`,
        { at: this.#at },
      );
    }
    const bias = layer.bias === null ? null : this.#parameter(layer.bias);
    const w = layer.binary ? this.#sign(weight, layer.zero, `${layer.weight}.sign`) : weight;
    const isScaled = layer.scale !== 'none';
    const inputs = [this.#x, w, ...(bias === null || isScaled ? [] : [bias])];
    const name = layer.weight.replace(/\.weight$/, '');
    let y: Value;
    if (layer.op === 'linear') y = this.#op('Gemm', inputs, { transB: int(1) }, name);
    else {
      const { stride, pad, dilation, groups } = layer;
      const axes = rank - 2;
      const padding: Attributes =
        pad === 'same' ? { auto_pad: string('SAME_UPPER') } : { pads: repeated(pad, 2 * axes) };
      y = this.#op(
        'Conv',
        inputs,
        {
          kernel_shape: ints(shape.slice(2).map((size) => (typeof size === 'number' ? size : 1))),
          strides: repeated(stride, axes),
          ...padding,
          dilations: repeated(dilation, axes),
          group: int(groups),
        },
        name,
      );
    }
    if (isScaled) {
      y = this.#op('Mul', [y, this.#meanMagnitude(layer.weight, layer.scale === 'channel', rank)]);
      if (bias !== null) y = this.#op('Add', [y, this.#reshaped(bias, rank)]);
    }
    return y;
  }

  /** Keras 3 calls the weights of depthwise layers `kernel`, too: what was taken for [outputs, inputs, …] is [multiplier, channels, …]. */
  #arrangeDepthwise(name: string, groups: number): void {
    const found = this.#find(name);
    const [multiplier = 1, channels, ...spatial] = found.shape;
    if (groups === 1 || channels !== groups || this.#x.shape?.[1] !== groups) return;
    const axes = found.shape.map((_, axis) => (axis === 0 ? 1 : axis === 1 ? 0 : axis));
    this.#tensors.set(name, { ...permute(found, axes), shape: [channels * multiplier, 1, ...spatial] });
  }

  #arrangeBits(name: string): void {
    const signs = signsOfBits(this.#find(name));
    if (signs === null) return;
    this.#tensors.set(name, signs);
    this.#notes.push(bitsNote(this.#prefix + name));
  }

  /** mean|W|, a number or one per output. */
  #meanMagnitude(name: string, perChannel: boolean, rank: number): Value {
    const { shape, data } = this.#numbers(name);
    const outputs = perChannel ? (shape[0] ?? 1) : 1;
    const terms = data.length / outputs;
    const means = Array.from({ length: outputs }, (_, o) => {
      let sum = 0;
      for (let i = 0; i < terms; i++) sum += Math.abs(data[o * terms + i] ?? 0);
      return sum / terms;
    });
    const target = perChannel ? [1, outputs, ...new Array<number>(rank - 2).fill(1)] : [];
    return this.#builder.constant(`${name}.scale`, float32(target, means));
  }

  #batchNorm(prefix: string, epsilon: number, without: Without): Value {
    const either = `${prefix}.${GAMMA_OR_BETA}`;
    const isEither = this.#tensors.has(either);
    if (isEither && without === 'nothing') {
      throw new BnnError(
        'E_FORMAT',
        `"${prefix}" has three variables: the file does not say whether the first is gamma or beta`,
        {
          hint: 'add "without": "gamma" to its batch-norm where scale=False, "without": "beta" where center=False',
        },
      );
    }
    const mean = this.#parameter(`${prefix}.running_mean`);
    const variance = this.#parameter(`${prefix}.running_var`);
    const channels = this.#numbers(`${prefix}.running_mean`).data.length;
    const optional = (name: string, value: number): Value =>
      this.#tensors.has(name)
        ? this.#parameter(name)
        : this.#builder.constant(name, tensor('float32', [channels], new Float32Array(channels).fill(value)));
    const weight = isEither && without === 'beta' ? this.#parameter(either) : optional(`${prefix}.weight`, 1);
    const bias = isEither && without === 'gamma' ? this.#parameter(either) : optional(`${prefix}.bias`, 0);
    const inputs = [this.#x, weight, bias, mean, variance];
    return this.#op('BatchNormalization', inputs, { epsilon: float(epsilon) }, prefix);
  }

  #affine(scale: number, offset: number): Value {
    const scaled = scale === 1 ? this.#x : this.#op('Mul', [this.#x, this.#number(scale)]);
    return offset === 0 ? scaled : this.#op('Add', [scaled, this.#number(offset)]);
  }

  #flatten(channels: 'first' | 'last'): Value {
    const rank = this.#x.shape?.length ?? 2;
    const isMoved = channels === 'last' && rank > 2;
    const last = [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1];
    const x = isMoved ? this.#op('Transpose', [this.#x], { perm: ints(last) }) : this.#x;
    return this.#op('Flatten', [x], { axis: int(1) });
  }

  #sign(x: Value, zero: ZeroRule, name = ''): Value {
    if (zero === 'zero') return this.#op('Sign', [x], {}, name);
    const isPlus = this.#op(zero === 'plus' ? 'GreaterOrEqual' : 'Greater', [x, this.#number(0)]);
    return this.#op('Where', [isPlus, this.#number(1), this.#number(-1)], {}, name);
  }

  #prelu(name: string): Value {
    const slope = this.#parameter(name);
    return this.#op('PRelu', [this.#x, this.#reshaped(slope, this.#x.shape?.length ?? 2)]);
  }

  /** One number per channel, to broadcast against [N, C, …]. */
  #reshaped(value: Value, rank: number): Value {
    const constant = value.constant;
    if (constant === null) throw new Error('internal: a parameter is no constant');
    const shape = constant.data.length === 1 ? [] : [constant.data.length, ...new Array<number>(rank - 2).fill(1)];
    return this.#builder.constant(`${value.name}.channels`, float32(shape, toFloats(constant)));
  }

  #numbers(name: string): { readonly shape: readonly number[]; readonly data: Float32Array } {
    const found = this.#find(name);
    return { shape: found.shape, data: toFloats(found) };
  }

  #parameter(name: string): Value {
    const existing = this.#builder.model.graph.values.get(name);
    if (existing !== undefined) return existing;
    const { shape, data } = this.#numbers(name);
    return this.#builder.constant(name, float32(shape, data));
  }

  #find(name: string): Tensor {
    const found = this.#tensors.get(name);
    if (found === undefined) {
      const near = nearest(name, [...this.#tensors.keys()]);
      throw new BnnError('E_NOT_FOUND', `the checkpoint has no "${this.#prefix}${name}"`, {
        at: this.#at,
        hint: near === undefined ? `it has ${[...this.#tensors.keys()].join(', ')}` : `did you mean ${near}?`,
      });
    }
    this.#used.add(name);
    return found;
  }

  #number(value: number): Value {
    return this.#builder.constant(`c${this.#count}`, scalar(value));
  }

  #op(type: string, inputs: readonly Value[], attributes: Attributes = {}, name = ''): Value {
    const value = this.#builder.op(type, inputs, attributes, name);
    const { producer } = value;
    const [inferred] = producer === null ? [] : (STANDARD_RULES.get(type)?.(producer, 17) ?? []);
    value.dtype = inferred?.dtype ?? null;
    value.shape = inferred?.shape ?? null;
    return value;
  }
}

/** The same along every spatial dimension. */
function repeated(value: number, count: number): Attribute {
  return ints(new Array<number>(count).fill(value));
}
