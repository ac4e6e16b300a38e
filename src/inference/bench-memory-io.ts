/** What a session takes in memory, measured in a process of its own. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BnnError } from '../errors.ts';
import { DTYPE_CODES } from '../graph/dtype-code.ts';
import type { BenchVariant } from './bench-timing.ts';
import { findOpsLibrary, loadOrtAddon } from './native-addon.ts';
import { modelForOps } from './native-session.ts';

export interface MemoryUse {
  /** Above a process that has opened onnxruntime but has no session; the most at any time, loading included. */
  readonly peakMiB: number;
  /** The same once the session has run. */
  readonly residentMiB: number;
  /** The part of it that is no file in memory: without the code of onnxruntime that was touched for the first time. */
  readonly privateMiB: number;
}

/**
 * The whole program of the child, which has no build step to depend on. It knows nothing but the addon: less code, less noise.
 * Writing 5 to clear_refs sets the high-water mark back to the present size.
 */
const PROGRAM = `
const { readFileSync, writeFileSync } = require('node:fs');
const { addonPath, settings, names, feeds, runs } = JSON.parse(process.argv[1]);
const addon = require(addonPath);
const kB = (field) => Number(new RegExp(field + ':\\\\s*(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
const tensors = feeds.map(({ type, shape, bytes }) => ({ type, shape, data: new Uint8Array(bytes).fill(type === 1 ? 0x3f : 1) }));
async function main() {
  addon.open(settings.runtime);
  globalThis.gc?.();
  try { writeFileSync('/proc/self/clear_refs', '5'); } catch {}
  const sizes = () => [kB('VmHWM'), kB('VmRSS'), kB('RssAnon')];
  const before = sizes();
  const handle = await addon.create(settings);
  const outputs = addon.outputs(handle).map(({ name }) => name);
  await addon.time(handle, names, tensors, outputs, runs);
  process.stdout.write(JSON.stringify(sizes().map((size, i) => (size - before[i]) / 1024)));
}
main().catch((error) => { console.error(error); process.exitCode = 1; });
`;

const RUNS = 3;

/**
 * Lets glibc's malloc give freed blocks back at once. As it is set, it keeps many times the weights after it loaded a model in pieces
 * of a few megabytes: what is left then says more about malloc than about the model.
 */
const RETURN_FREED = { MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '65536' };

/** Which pages count. */
export interface MemoryOptions {
  /** `held` unless told: everything that the process holds; `live`: without freed blocks that its allocator would keep. */
  readonly count?: 'held' | 'live';
}

/**
 * Loads a model from a file and runs it, in a fresh process; null where the system does not tell a process its size (anything but
 * Linux).
 *
 * @throws {BnnError} E_BACKEND when the process fails.
 */
export async function measureMemory(
  variant: BenchVariant,
  threads: number,
  { count = 'held' }: MemoryOptions = {},
): Promise<MemoryUse | null> {
  if (process.platform !== 'linux') return null;
  const folder = await mkdtemp(join(tmpdir(), 'bnn-bench-'));
  try {
    const path = join(folder, 'model.onnx');
    const { bytes, ops, fastStem } = variant;
    await writeFile(path, ops ? await modelForOps(bytes, { fastStem }) : bytes);
    return await measureFile(variant, path, threads, count === 'live' ? RETURN_FREED : {});
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureFile(
  variant: BenchVariant,
  path: string,
  threads: number,
  environment: Readonly<Record<string, string>>,
): Promise<MemoryUse> {
  const binding = loadOrtAddon();
  const library = findOpsLibrary();
  if (!binding.ok) throw new BnnError('E_BACKEND', binding.reason, { hint: binding.hint });
  const { path: addonPath, runtime } = binding.value;
  const request = {
    addonPath,
    settings: {
      runtime,
      model: path,
      intraOpThreads: threads,
      ...(variant.ops && library.ok ? { opsLibrary: library.value } : {}),
    },
    names: Object.keys(variant.feeds),
    feeds: Object.values(variant.feeds).map(({ dtype, shape, data }) => ({
      type: DTYPE_CODES[dtype],
      shape,
      bytes: data.byteLength,
    })),
    runs: RUNS,
  };
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--expose-gc', '-e', PROGRAM, JSON.stringify(request)],
      { env: { ...process.env, ...environment } },
    );
    const [peakMiB, residentMiB, privateMiB] = JSON.parse(stdout) as [number, number, number];
    return { peakMiB, residentMiB, privateMiB };
  } catch (cause) {
    throw new BnnError('E_BACKEND', `the process that measures the memory of ${variant.name} failed`, { cause });
  }
}
