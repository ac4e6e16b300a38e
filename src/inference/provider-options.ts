/** Options of execution providers, as text from a command line and as onnxruntime-node takes them. */

import { BnnError } from '../errors.ts';
import type { ExecutionProvider } from './provider.ts';

type Value = string | number | boolean | readonly string[];
export type ProviderOptions = Readonly<Record<string, Value>>;

/** What a value may be: a whole number, true or false, names divided by commas, or one of a few words. */
type Kind = 'number' | 'boolean' | 'names' | readonly string[];

const CACHE_MODES = ['disabled', 'lazyRelease', 'simple', 'bucket'];

/** What onnxruntime-node passes on; it ignores other keys of most providers without a word. */
const OPTIONS: Readonly<Record<ExecutionProvider, Readonly<Record<string, Kind>>>> = {
  cpu: {},
  cuda: { deviceId: 'number' },
  tensorrt: { deviceId: 'number' },
  dml: { deviceId: 'number' },
  coreml: { coreMlFlags: 'number' },
  webgpu: {
    preferredLayout: ['NCHW', 'NHWC'],
    validationMode: ['disabled', 'wgpuOnly', 'basic', 'full'],
    forceCpuNodeNames: 'names',
    enableRobustness: 'boolean',
    storageBufferCacheMode: CACHE_MODES,
    uniformBufferCacheMode: CACHE_MODES,
    queryResolveBufferCacheMode: CACHE_MODES,
    defaultBufferCacheMode: CACHE_MODES,
  },
};

/**
 * Reads options written as `key=value`.
 *
 * @throws {BnnError} E_USAGE for what the provider does not have, with what it has.
 */
export function parseProviderOptions(ep: ExecutionProvider, texts: readonly string[]): ProviderOptions {
  return Object.fromEntries(texts.map((text) => parseOption(ep, text)));
}

function parseOption(ep: ExecutionProvider, text: string): [string, Value] {
  const at = text.indexOf('=');
  const key = at < 0 ? text : text.slice(0, at);
  const kind = Object.hasOwn(OPTIONS[ep], key) ? OPTIONS[ep][key] : undefined;
  if (kind === undefined) {
    const known = Object.keys(OPTIONS[ep]);
    throw new BnnError('E_USAGE', `execution provider ${ep} has no option "${key}"`, {
      hint: known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`,
    });
  }
  const value = at < 0 ? undefined : parseValue(kind, text.slice(at + 1));
  if (value !== undefined) return [key, value];
  const expected =
    kind === 'number'
      ? 'a whole number'
      : kind === 'boolean'
        ? 'true or false'
        : kind === 'names'
          ? 'names'
          : kind.join(' | ');
  throw new BnnError('E_USAGE', `--ep-option ${text}: expected ${key}=${expected}`);
}

function parseValue(kind: Kind, text: string): Value | undefined {
  if (kind === 'number') return /^\d+$/.test(text) ? Number(text) : undefined;
  if (kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined;
  if (kind === 'names') return text === '' ? undefined : text.split(',');
  return kind.includes(text) ? text : undefined;
}
