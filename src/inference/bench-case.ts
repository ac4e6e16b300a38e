/** One case of a benchmark: our operators and the baselines, with speed, memory and the share of what the processor can do. */

import { quantile } from '../core/numbers/quantile.ts';
import { BnnError } from '../errors.ts';
import { type MemoryUse, measureMemory } from './bench-memory-io.ts';
import { type BenchVariant, type Timing, type TimingOptions, timeVariants } from './bench-timing.ts';
import { messageOf } from './error-text.ts';
import { findOpsLibrary, loadOrtAddon, type OrtAddon } from './native-addon.ts';
import type { Placement } from './placement.ts';
import type { ExecutionProvider } from './provider.ts';

export interface Measurement {
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  readonly runs: number;
  readonly createMs: number;
  /** 10⁹ operations of the equivalent float network per second; an operation is one multiplication or one addition. */
  readonly gops: number;
  /** Null when not measured. */
  readonly memory: MemoryUse | null;
}

export interface BaselineMeasurement extends Measurement {
  /** Its median over ours: above 1, we are faster. */
  readonly ratio: number;
  /** 10 % and 90 % quantile of the ratios within the rounds. */
  readonly ratioP10: number;
  readonly ratioP90: number;
}

export interface BenchCase extends Measurement {
  readonly name: string;
  readonly threads: number;
  /** Row of our kernels. */
  readonly isa: string;
  readonly baselines: Readonly<Record<string, BaselineMeasurement>>;
  /** What this row of kernels could do at most, in the same units, on so many threads. */
  readonly popcountLimitGops: number;
  /** Time that the binary operations would take at that limit over the time that everything took. */
  readonly popcountShare: number;
}

/** A network on an execution provider. */
export interface ProviderCase extends Measurement {
  readonly name: string;
  readonly threads: number;
  readonly ep: ExecutionProvider;
  readonly batch: number;
  readonly imagesPerSecond: number;
  /** On which provider how many nodes ran; null on the CPU. */
  readonly nodes: Placement['nodes'] | null;
  readonly baselines: Readonly<Record<string, BaselineMeasurement>>;
}

export interface CaseRequest {
  readonly name: string;
  /** Ours first. */
  readonly variants: readonly BenchVariant[];
  /** Operations of the equivalent float network, and those of them that our kernels do on bits. */
  readonly operations: number;
  readonly binaryOperations: number;
}

export interface CaseOptions extends TimingOptions {
  /** Off saves a process for each variant. */
  readonly memory: boolean;
}

const LIMIT_MS = 100;

/**
 * Makes sure that the benchmark can run.
 *
 * @throws {BnnError} E_BACKEND with what is missing.
 */
export function assertBenchable(): void {
  for (const found of [loadOrtAddon(), findOpsLibrary()]) {
    if (!found.ok) throw new BnnError('E_BACKEND', found.reason, { hint: found.hint });
  }
}

/** Rows of kernels for binary layers that this processor can run, best last. */
export function kernelRows(): readonly string[] {
  const binding = loadOrtAddon();
  return binding.ok ? binding.value.addon.popcountRows() : [];
}

/**
 * The row of kernels that our library uses: the best one, or the best that needs no more than the instruction set that BNN_KERNEL names.
 *
 * @throws {BnnError} E_USAGE when this processor has no such instruction set, E_BACKEND without the addon.
 */
export function kernelRow(forced: string | undefined): string {
  const binding = loadOrtAddon();
  if (!binding.ok) throw new BnnError('E_BACKEND', binding.reason, { hint: binding.hint });
  try {
    return binding.value.addon.popcountRow(forced ?? '');
  } catch (cause) {
    throw new BnnError('E_USAGE', `there are no kernels for "${forced}" here: ${messageOf(cause)}`, {
      hint: 'choose another by --kernel or the variable BNN_KERNEL, or unset that',
      cause,
    });
  }
}

/**
 * Measures one case.
 *
 * @throws {BnnError} E_BACKEND when something is missing, or as `createNativeSession`.
 */
export async function measureCase(request: CaseRequest, options: CaseOptions): Promise<BenchCase> {
  const binding = loadOrtAddon();
  if (!binding.ok) throw new BnnError('E_BACKEND', binding.reason, { hint: binding.hint });
  const { addon } = binding.value;
  const isa = kernelRow(process.env['BNN_KERNEL']);
  await measureLimit(addon, isa, options.threads);
  const timings = await timeVariants(request.variants, options);
  const limitBits = await measureLimit(addon, isa, options.threads);
  const memories = options.memory ? await measureMemories(request.variants, options.threads) : [];
  const { ours, baselines } = compareTimings(timings, request.operations, memories);
  // One bit stands for one multiplication and one addition.
  const popcountLimitGops = (2 * limitBits) / 1e9;
  return {
    name: request.name,
    threads: options.threads,
    isa,
    ...ours,
    popcountLimitGops,
    popcountShare: request.binaryOperations / popcountLimitGops / 1e6 / ours.medianMs,
    baselines,
  };
}

/**
 * Measures a network on an execution provider against its baselines.
 *
 * @throws {BnnError} as `openSession`.
 */
export async function measureProviderCase(
  { name, variants, operations, batch }: CaseRequest & { readonly batch: number },
  options: TimingOptions,
): Promise<ProviderCase> {
  const timings = await timeVariants(variants, options);
  const { ours, baselines } = compareTimings(timings, operations, []);
  return {
    name,
    threads: options.threads,
    ep: variants[0]?.provider?.ep ?? 'cpu',
    batch,
    ...ours,
    imagesPerSecond: (batch / ours.medianMs) * 1000,
    nodes: timings[0]?.nodes ?? null,
    baselines,
  };
}

/** The first variant, and the others with their ratio to it. */
function compareTimings(
  timings: readonly Timing[],
  operations: number,
  memories: readonly (MemoryUse | null)[],
): { readonly ours: Measurement; readonly baselines: Readonly<Record<string, BaselineMeasurement>> } {
  const measure = (timing: Timing, i: number): Measurement => ({
    medianMs: timing.medianMs,
    p10Ms: timing.p10Ms,
    p90Ms: timing.p90Ms,
    runs: timing.runs,
    createMs: timing.createMs,
    gops: operations / timing.medianMs / 1e6,
    memory: memories[i] ?? null,
  });
  const [ours, ...others] = timings;
  if (ours === undefined) throw new Error('internal: a case without variants');
  return {
    ours: measure(ours, 0),
    baselines: Object.fromEntries(
      others.map((timing, i) => [timing.name, { ...measure(timing, i + 1), ...ratiosOf(ours, timing) }]),
    ),
  };
}

/** Bits per second: the best of all measurements in this process, since other work on the machine can only lower them. */
async function measureLimit(addon: OrtAddon, isa: string, threads: number): Promise<number> {
  const key = `${isa} ${threads}`;
  const best = Math.max(limits.get(key) ?? 0, await addon.popcountLimit(isa, threads, LIMIT_MS));
  limits.set(key, best);
  return best;
}

const limits = new Map<string, number>();

function ratiosOf(ours: Timing, other: Timing): Pick<BaselineMeasurement, 'ratio' | 'ratioP10' | 'ratioP90'> {
  const ratios = other.roundMs.map((ms, round) => ms / (ours.roundMs[round] ?? Number.NaN));
  return {
    ratio: other.medianMs / ours.medianMs,
    ratioP10: quantile(ratios, 0.1),
    ratioP90: quantile(ratios, 0.9),
  };
}

async function measureMemories(variants: readonly BenchVariant[], threads: number): Promise<(MemoryUse | null)[]> {
  const results: (MemoryUse | null)[] = [];
  for (const variant of variants) results.push(await measureMemory(variant, threads));
  return results;
}
