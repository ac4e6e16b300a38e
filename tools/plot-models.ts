/**
 * Draws models/cifar10.svg: how the test accuracy of the trained models grew, beside what the paper reports at the end.
 *
 *     npx tsx tools/plot-models.ts [--check]
 *
 * --check writes nothing and exits with 1 when the picture is another one.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printError } from '../src/cli/print-error.ts';
import { Terminal } from '../src/cli/terminal.ts';
import { packageModels } from '../src/inference/package-models-io.ts';
import { plotCurves } from '../src/report/plot-curves.ts';
import { CARD_FILES, readCard } from './model-card/card.ts';
import { parseHistory } from './model-card/history.ts';

const MODELS = fileURLToPath(new URL('../models', import.meta.url));
const PICTURE = join(MODELS, 'cifar10.svg');
/** Wu et al., "Estimator Meets Equilibrium Perspective", ICCV 2023: 1W/1A on CIFAR-10. */
const REFERENCES = [
  { name: 'paper: ResNet-20', epoch: 1000, accuracy: 0.8675 },
  { name: 'paper: ResNet-20 Bi-Real', epoch: 1000, accuracy: 0.8792 },
];
const terminal = new Terminal();

async function draw(): Promise<string> {
  const curves = await Promise.all(
    packageModels().map(async ({ folder }) => {
      const { recipe } = await readCard(folder);
      const at = join(folder, CARD_FILES.history);
      const points = parseHistory(await readFile(at, 'utf8'), at);
      return { name: recipe.fields.model, points };
    }),
  );
  return plotCurves(curves, {
    title: 'CIFAR-10, weights and activations of one bit',
    subtitle: 'Test accuracy after each epoch of the models in this folder, and the paper’s results',
    references: REFERENCES,
  });
}

try {
  const picture = await draw();
  if (!process.argv.includes('--check')) {
    await writeFile(PICTURE, picture);
    terminal.result(`wrote ${PICTURE}`);
  } else if ((await readFile(PICTURE, 'utf8')) !== picture) {
    terminal.warn('models/cifar10.svg is out of date: npx tsx tools/plot-models.ts');
    process.exitCode = 1;
  }
} catch (error) {
  process.exitCode = printError(error, 'plot-models', terminal);
}
