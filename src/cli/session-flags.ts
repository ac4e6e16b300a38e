/** Options of the commands that run a file on pictures: which statistics their pixels get, and whose kernels run it. */

import { type Command, Option } from 'commander';
import { describeEngines, ENGINES, type EngineName } from '../inference/engines.ts';
import { OPS_CHOICES, type OpsChoice } from '../inference/open-session.ts';

export interface SessionFlags<Normalization> {
  readonly normalize?: Normalization;
  readonly ops: OpsChoice;
  readonly engine: EngineName;
  readonly fastStem?: boolean;
}

export const FAST_STEM_HELP =
  'the float stem of a network for large pictures with fewer products; results are equal but for rounding';

export function addSessionOptions(command: Command, normalizations: readonly string[]): void {
  command
    .addOption(
      new Option('--normalize <how>', 'statistics for the pixels, instead of what the file says').choices(
        normalizations,
      ),
    )
    .addOption(
      new Option('--ops <how>', 'kernels for binary layers; off = stock onnxruntime')
        .choices(OPS_CHOICES)
        .default('auto'),
    )
    .addOption(
      new Option('--engine <name>', `what runs the file; ${describeEngines()}`).choices(ENGINES).default('auto'),
    )
    .option('--fast-stem', FAST_STEM_HELP);
}
