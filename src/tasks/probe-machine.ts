/** What works on this machine, and what to do about the rest. */

import { probeBackends } from '../backends/probe.ts';
import type { Finding } from '../core/found.ts';
import { probeEngine, probeOps } from '../inference/probe-ops.ts';
import { probeProviders } from '../inference/probe-providers.ts';
import { describeOnnxruntime } from '../inference/provider.ts';
import { describeMachine, findCompiler, findOptionalPeers } from './machine.ts';
import { type MachineVerdict, verdictOf } from './machine-verdict.ts';
import { inspectMpi } from './setup-mpi-io.ts';
import { TFJS_VERSION, VERSION } from './version.ts';

export interface MachineReport {
  /** Versions, processor and memory, in words. */
  readonly machine: Readonly<Record<string, string>>;
  /** For training. */
  readonly backends: readonly Finding[];
  /** Of onnxruntime. */
  readonly providers: readonly Finding[];
  readonly tools: readonly Finding[];
  /** For binary layers, in onnxruntime and in our own engine. */
  readonly kernels: readonly Finding[];
  /** That are used when they are installed, MPI too. */
  readonly packages: readonly Finding[];
  /** What all that means. */
  readonly verdict: MachineVerdict;
}

/** Tries everything that may be missing. */
export async function probeMachine(): Promise<MachineReport> {
  const found = {
    machine: Object.fromEntries([
      ['bnn-toolchain', VERSION],
      ...describeMachine(),
      ['onnxruntime', describeOnnxruntime()],
      ['tfjs', TFJS_VERSION],
    ]),
    backends: await probeBackends(),
    providers: await probeProviders(),
    tools: [await findCompiler()],
    kernels: [await probeOps(), await probeEngine()],
    packages: [...findOptionalPeers(), ...inspectMpi()],
  };
  return { ...found, verdict: verdictOf(found) };
}
