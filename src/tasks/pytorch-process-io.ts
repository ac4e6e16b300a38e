/** The PyTorch counterpart of the training benchmark, as a process that takes turns with us. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BnnError } from '../errors.ts';

export interface PytorchRound {
  /** Name of the GPU, or cpu. */
  readonly device: string;
  readonly imagesPerSecond: number;
  /** Processor time of all threads per step. */
  readonly processorMs: number;
  /** Largest resident size of its process; on a GPU what was allocated there. */
  readonly peakMiB: number;
  /** The same before the network was built; 0 on a GPU. */
  readonly startMiB: number;
}

/** How its networks compute. */
export interface PytorchForm {
  readonly precision: 'fp32' | 'bf16';
  readonly channelsLast: boolean;
}

/** What an informed user tries; which is fastest depends on the processor and on the network. */
export const PYTORCH_FORMS: readonly PytorchForm[] = [
  { precision: 'fp32', channelsLast: false },
  { precision: 'fp32', channelsLast: true },
  { precision: 'bf16', channelsLast: false },
  { precision: 'bf16', channelsLast: true },
];

export interface PytorchNetwork {
  readonly python: string;
  readonly model: string;
  readonly batch: number;
  readonly threads: number;
  /** Whether to compute on a GPU, where it finds one. */
  readonly gpu: boolean;
}

const SCRIPT = join('tools', 'bench', 'pytorch_resnet.py');

export class PytorchProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** When it has ended and all that it said is read. */
  readonly #closed: Promise<void>;
  #errors = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null || child.stderr === null) throw new Error('internal: a process without pipes');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    this.#closed = new Promise((resolve) => {
      child.on('close', () => resolve());
      child.on('error', (error) => {
        this.#errors += error.message;
        resolve();
      });
    });
    // Writing to a process that has ended must not end ours; the missing answer tells.
    child.stdin?.on('error', () => {});
  }

  /** Starts the script; null where it is not part of the installation. */
  static start({ python, model, batch, threads, gpu }: PytorchNetwork, form: PytorchForm): PytorchProcess | null {
    const script = findScript();
    if (script === null) return null;
    const args = [script, '--interactive', `--model=${model}`, `--batch=${batch}`, `--threads=${threads}`];
    args.push(`--precision=${form.precision}`);
    if (form.channelsLast) args.push('--channels-last');
    if (gpu) args.push('--gpu');
    return new PytorchProcess(spawn(python, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /** @throws {BnnError} E_BACKEND when the process ends instead: no such interpreter, no torch in it, an unknown network. */
  async round(steps: number): Promise<PytorchRound> {
    this.#child.stdin?.write(`${steps}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) {
      await this.#closed;
      throw new BnnError('E_BACKEND', this.#errors.trim().split('\n').at(-1) || 'it ended without a word', {
        at: this.#child.spawnfile,
        hint: 'BNN_PYTHON must name an interpreter that has torch; without the variable only ours is measured',
      });
    }
    return JSON.parse(value) as PytorchRound;
  }

  close(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }
}

function findScript(): string | null {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, SCRIPT))) return join(folder, SCRIPT);
  }
  return null;
}
