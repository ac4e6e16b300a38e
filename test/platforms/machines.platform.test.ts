/**
 * Each platform's package where it can run: it loads, trains, exports and validates. Files are the same bytes as on Linux x64, whose own
 * are compared with those of the library that was built here.
 */

import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { installation, MACHINES, type Machine, type Ran, ROOT } from './released.ts';

/** A few steps of the quickstart's network on one thread. */
const TRAIN = ['--model', 'binarynet-mini', '--dataset', 'mnist', '--limit-train', '512', '--limit-test', '256'];
const HOW = ['--epochs', '1', '--batch-size', '64', '--seed', '7', '--threads', '1', '--backend', 'native', '--json'];

/** Not `bnn doctor`, which opens onnxruntime too: that crashes in qemu's 64-bit ARM, by itself as well. */
const LOAD = `
  import { addonOrigin, loadNativeAddon } from './dist/backends/native/addon.js';
  const addon = loadNativeAddon();
  console.log(JSON.stringify(addon.ok ? { origin: addonOrigin(), isa: addon.value.isa() } : addon));
`;

const [reference] = MACHINES as [Machine];

function succeed(ran: Ran): Record<string, unknown> {
  expect(ran.status, ran.stderr + ran.stdout).toBe(0);
  return JSON.parse(String(ran.stdout.trim().split('\n').at(-1))) as Record<string, unknown>;
}

/** Trains in `out`; returns the weights' bytes. */
function train(machine: Machine, folder: string, out: string, env: NodeJS.ProcessEnv = {}): Buffer {
  succeed(machine.run('dist/cli/bnn-train.js', [...TRAIN, ...HOW, '--out', out], env));
  return readFileSync(join(folder, out, 'last/model.onnx'));
}

function exportRun(machine: Machine, folder: string, run: string, packed: string): Buffer {
  succeed(machine.run('dist/cli/bnn-export.js', [run, '-o', packed, '--json']));
  return readFileSync(join(folder, packed));
}

/** What of the quickstart can be waited for: qemu takes hours for all of it, which BNN_TEST_QUICKSTART=whole asks for. */
function shortened({ platform }: Machine): readonly string[] {
  if (platform !== 'linux-arm64' || process.env['BNN_TEST_QUICKSTART'] === 'whole') return [];
  return ['--limit-train', '1280', '--limit-test', '256', '--epochs', '1'];
}

const part = (machine: Machine) => (shortened(machine).length === 0 ? '' : ', of which it trains 10 steps');

/** Trains and exports as tools/quickstart.mjs does, as much as `like` can; returns the packed file. */
function quickstart(machine: Machine, folder: string, env: NodeJS.ProcessEnv, like = machine): Buffer {
  const run = `quickstart-${like.platform}`;
  const args = ['models/mnist-quickstart.json', '--threads', '2', ...shortened(like), '--out', run, '--json'];
  succeed(machine.run('dist/cli/bnn-train.js', args, env));
  return exportRun(machine, folder, run, `${run}.onnx`);
}

describe.skipIf(reference.missing !== undefined)(
  `released packages${reference.missing ? ` (skipped: ${reference.missing})` : ''}`,
  () => {
    let home: string;
    let packed: Buffer;

    beforeAll(() => {
      home = installation('linux-x64');
      train(reference, home, 'run');
      packed = exportRun(reference, home, 'run', 'packed.onnx');
      cpSync(join(home, 'run'), join(ROOT, 'build/platforms/reference-run'), { recursive: true });
    });

    const built = join(ROOT, 'build/bnn_native.node');
    it.skipIf(!existsSync(built))('trains the same bits as the library built here', () => {
      cpSync(built, join(home, 'build/bnn_native.node'));
      const weights = train(reference, home, 'built', { BNN_NATIVE: 'built' });
      expect(weights.equals(readFileSync(join(home, 'run/last/model.onnx')))).toBe(true);
    });

    for (const machine of MACHINES) {
      describe.skipIf(machine.missing !== undefined)(
        `${machine.name}${machine.missing ? ` (skipped: ${machine.missing})` : ''}`,
        () => {
          let folder: string;
          beforeAll(() => {
            folder = machine.platform === 'linux-x64' ? home : installation(machine.platform);
          });

          it('loads its package, with the kernels of its processor', () => {
            const loaded = succeed(machine.run('--input-type=module', ['-e', LOAD]));
            expect(loaded['origin']).toMatch(new RegExp(`^prebuilt in @bnn-toolchain/${machine.platform} `));
            expect(loaded['isa']).toMatch(machine.row === '' ? /\w/ : new RegExp(`^${machine.row}$`));
          });

          it('exports the same bytes', () => {
            rmSync(join(folder, 'given'), { recursive: true, force: true });
            cpSync(join(ROOT, 'build/platforms/reference-run'), join(folder, 'given'), { recursive: true });
            expect(exportRun(machine, folder, 'given', 'given.onnx').equals(packed)).toBe(true);
          });

          it('validates the packed file on its own engine', () => {
            exportRun(machine, folder, 'given', 'given.onnx');
            const args = ['given.onnx', '--dataset', 'mnist', '--limit', '64', '--engine', 'wasm', '--json'];
            const here = succeed(machine.run('dist/cli/bnn-validate.js', args));
            expect(here['top1']).toBeGreaterThan(0.1);
          });

          // The same vectors give the same bits, whatever the system. NEON has no equal on x64, but its scalar kernels do.
          const kernels = machine.platform === 'linux-arm64' ? 'scalar' : machine.row;
          const env = kernels === '' ? {} : { BNN_KERNEL: kernels };
          const label = machine.name.replaceAll(/\W+/g, '-');

          it('trains to the same bits', () => {
            const weights = train(machine, folder, `trained-${label}`, env);
            expect(weights.equals(train(reference, home, `expected-${label}`, env))).toBe(true);
          });

          it.skipIf(machine.platform !== 'linux-arm64')('trains with the kernels of its processor', () => {
            expect(train(machine, folder, 'trained-neon').length).toBeGreaterThan(1000);
          });

          it.skipIf(machine.platform === 'linux-x64')(`packs the same file from the quickstart${part(machine)}`, () => {
            expect(quickstart(machine, folder, env).equals(quickstart(reference, home, env, machine))).toBe(true);
          });
        },
      );
    }
  },
);
