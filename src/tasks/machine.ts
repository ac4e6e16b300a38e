/** The machine and what is installed on it. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { promisify } from 'node:util';
import type { Finding } from '../core/found.ts';
import { formatBytes } from '../report/format.ts';

/** Instruction sets that kernels are chosen by, as Linux calls them. */
const ISA_FLAGS = ['avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_vpopcntdq', 'avx512_bf16', 'asimd'];

export function describeMachine(): readonly (readonly [string, string])[] {
  const model = cpus()[0]?.model.trim() || process.arch;
  return [
    ['node', `${process.versions.node} (${process.platform} ${process.arch}, ${type()} ${release()})`],
    ['processor', `${model}, ${availableParallelism()} threads`],
    ['instructions', instructionSets()],
    ['memory', formatBytes(totalmem())],
  ];
}

function instructionSets(): string {
  try {
    const info = readFileSync('/proc/cpuinfo', 'utf8');
    const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' '));
    return ISA_FLAGS.filter((flag) => flags.has(flag)).join(' ') || 'none of those that kernels are chosen by';
  } catch {
    return 'not known on this system';
  }
}

const run = promisify(execFile);

/** The C++ compiler that `bnn setup native` would take. */
export async function findCompiler(): Promise<Finding> {
  const chosen = process.env['CXX'];
  const names = [...(chosen ? [chosen] : []), 'c++', 'g++', 'clang++'];
  for (const command of names) {
    try {
      const { stdout } = await run(command, ['--version']);
      return { name: 'compiler', works: true, detail: `${command}: ${stdout.split('\n')[0]?.trim()}` };
    } catch {
      // The next one.
    }
  }
  return {
    name: 'compiler',
    works: false,
    detail: 'no C++ compiler on PATH (tried c++, g++, clang++)',
    hint: 'needed only to build the native kernels here: install g++ 10 or later, then bnn setup native',
  };
}

const OPTIONAL_PEERS: readonly (readonly [name: string, use: string])[] = [
  ['@tensorflow/tfjs-node-gpu', 'training on CUDA GPUs'],
  ['@tensorflow/tfjs-node', 'training with TensorFlow on the CPU'],
];

/** Packages that are used when they are installed. */
export function findOptionalPeers(): Finding[] {
  const { resolve } = createRequire(import.meta.url);
  return OPTIONAL_PEERS.map(([name, use]) => {
    try {
      resolve(name);
      return { name, works: true, detail: `installed, for ${use}` };
    } catch {
      return { name, works: false, detail: `not installed; for ${use}`, hint: 'bnn setup tensorflow' };
    }
  });
}
