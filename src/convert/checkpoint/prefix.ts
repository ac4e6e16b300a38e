/**
 * What stands in front of the names of a checkpoint: a class around the network puts the name of its attribute there (`model.` of
 * Lightning), and so do wrappers (`module.` of DataParallel, `_orig_mod.` of torch.compile), these also around single layers.
 */

import type { Tensor } from '../../core/tensors/tensor.ts';
import { BnnError } from '../../errors.ts';

type Tensors = ReadonlyMap<string, Tensor>;

export interface NamedTensors {
  /** Under the names that the network uses. */
  readonly tensors: Tensors;
  /** What the file has in front of them: empty, or up to a dot. */
  readonly prefix: string;
  /** Entries without that prefix, by their names in the file. */
  readonly others: readonly string[];
  /** True when the names of wrappers inside the names are left out, too. */
  readonly isUnwrapped: boolean;
}

export interface NamesWanted {
  /** Names without which the network is not complete. */
  readonly names: readonly string[];
  /** What the user says stands in front of them. */
  readonly prefix?: string | undefined;
  /** The file's name, for messages. */
  readonly at?: string | undefined;
}

const WRAPPERS = /(^|\.)(?:(?:module|_orig_mod|_fsdp_wrapped_module)\.)+/g;
/** Fewer names may fit by chance. */
const LEAST_SHARE = 0.5;

/**
 * Leaves out what stands in front of the names, where all names of the network are there behind one prefix. Without one, the result has
 * the prefix behind which most are, and what is missing is for the caller to say.
 *
 * @throws {BnnError} E_USAGE when they are there behind several prefixes, E_NOT_FOUND when nothing has the prefix that the user gave.
 */
export function resolveNames(tensors: Tensors, { names, prefix = '', at }: NamesWanted): NamedTensors {
  const asked = prefix === '' || prefix.endsWith('.') ? prefix : `${prefix}.`;
  const inside = behind(tensors, asked);
  if (inside.size === 0 && asked !== '') {
    const known = new Set(Array.from(tensors.keys(), (name) => name.slice(0, name.indexOf('.') + 1)));
    throw new BnnError('E_NOT_FOUND', `no entry of the checkpoint begins with "${asked}"`, {
      at,
      hint: `its names begin with ${[...known].slice(0, 8).join(', ')}`,
    });
  }
  const found = resolve(inside, names, asked, at);
  const others = [...tensors.keys()].filter((name) => !name.startsWith(asked));
  const within = found.others.map((name) => asked + name);
  return { ...found, prefix: asked + found.prefix, others: [...within, ...others] };
}

/** The prefixes behind which all the names are. */
export function fittingPrefixes(tensors: Tensors, names: readonly string[]): string[] {
  return [...matches(tensors, names)].filter(([, count]) => count === names.length).map(([prefix]) => prefix);
}

function resolve(tensors: Tensors, names: readonly string[], asked: string, at: string | undefined): NamedTensors {
  for (const candidate of [tensors, withoutWrappers(tensors)]) {
    const fitting = fittingPrefixes(candidate, names);
    const [only = ''] = fitting.includes('') ? [''] : fitting;
    if (fitting.length > 1 && only !== '') {
      const readings = fitting.map((found) => `"${asked}${found}"`).join(' and ');
      throw new BnnError(
        'E_USAGE',
        `the names of the network are there behind ${readings}: which is meant is not said`,
        {
          at,
          hint: `add --prefix ${fitting.map((found) => asked + found).join(' or --prefix ')}`,
        },
      );
    }
    if (fitting.length > 0) return reading(candidate, only, candidate !== tensors);
  }
  const counts = [...matches(tensors, names)].filter(([, count]) => count >= LEAST_SHARE * names.length);
  const [best = ''] = counts.sort(([a, x], [b, y]) => y - x || a.length - b.length)[0] ?? [];
  return reading(tensors, best, false);
}

function reading(tensors: Tensors, prefix: string, isUnwrapped: boolean): NamedTensors {
  const others = [...tensors.keys()].filter((name) => !name.startsWith(prefix));
  return { tensors: behind(tensors, prefix), prefix, others, isUnwrapped };
}

/** How many of the names there are behind each prefix. */
function matches(tensors: Tensors, names: readonly string[]): Map<string, number> {
  const wanted = new Set(names);
  const counts = new Map<string, number>();
  for (const name of tensors.keys()) {
    // The whole name, and what is behind each of its dots.
    for (let start = 0; start >= 0; start = name.indexOf('.', start) + 1 || -1) {
      if (!wanted.has(name.slice(start))) continue;
      const prefix = name.slice(0, start);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  }
  return counts;
}

function behind(tensors: Tensors, prefix: string): Tensors {
  if (prefix === '') return tensors;
  const found = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(found.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The same tensors where two names would become one. */
function withoutWrappers(tensors: Tensors): Tensors {
  const plain = new Map(Array.from(tensors, ([name, tensor]) => [name.replaceAll(WRAPPERS, '$1'), tensor]));
  return plain.size === tensors.size ? plain : tensors;
}
