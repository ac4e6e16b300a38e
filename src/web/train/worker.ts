/** The worker of the page that `bnn web --train` makes: it trains, so that the page stays at hand. */

import { lowerToPacked } from '../../compiler/lower-to-packed.ts';
import { PREPROCESSING_KEY } from '../../core/pictures/preprocessing.ts';
import { BnnError } from '../../errors.ts';
import { decodeModel } from '../../onnx/decode-model.ts';
import { encodeModel } from '../../onnx/encode-model.ts';
import { addBnnFunctions } from '../../operators/registry.ts';
import { shareEqualConstants } from '../../rewriting/equal-constants.ts';
import { type MemoryData, MemoryTraining } from '../../training/learning/memory-training.ts';
import { valuesOf } from '../../training/recipes/recipe-values.ts';
import { buildModel } from '../../zoo/zoo.ts';
import { fetchBytes } from './fetch-bytes.ts';
import type { Reply, Request, TrainingFacts } from './messages.ts';
import { openKernels } from './open-kernels.ts';
import { loadPictures } from './pictures.ts';

const worker = globalThis as unknown as {
  postMessage(reply: Reply): void;
  onmessage: ((event: { readonly data: Request }) => void) | null;
};

let stop: AbortController | null = null;

function tell(reply: Reply): void {
  worker.postMessage(reply);
}

function tellProblem(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const { at, hint } = error instanceof BnnError ? error : {};
  tell({ type: 'problem', message, at, hint });
}

async function open(): Promise<void> {
  const facts = JSON.parse(new TextDecoder().decode(await fetchBytes('training.json'))) as TrainingFacts;
  const threads = await openKernels();
  const data = await loadPictures(facts, (bytes) => tell({ type: 'loading', bytes }));
  worker.onmessage = ({ data: request }) => {
    if (request.type === 'stop') stop?.abort();
    else if (request.type === 'picture') tellPicture(facts, data, request.index);
    else if (stop === null) train(facts, data, request).catch(tellProblem);
  };
  tell({ type: 'ready', threads, facts });
}

function tellPicture({ classes }: TrainingFacts, { test, height, width }: MemoryData, index: number): void {
  const pixels = test.images.slice(index * height * width, (index + 1) * height * width);
  tell({ type: 'picture', index, pixels, label: classes[test.labels[index] ?? -1] ?? '' });
}

/** @throws {BnnError} E_NUMERIC when the loss is no number, E_BACKEND when memory runs out. */
async function train(facts: TrainingFacts, data: MemoryData, wanted: Request & { type: 'start' }): Promise<void> {
  const { epochs, lr, pictures } = wanted;
  const recipe = { ...facts.recipe, epochs, lr };
  const { classes, channels, height: imageSize } = facts;
  const model = buildModel(recipe.model, {
    ...{ seed: recipe.seed, classes: classes.length, channels, imageSize, values: valuesOf(recipe) },
  });
  model.metadata.set(PREPROCESSING_KEY, facts.preprocessing);
  const pixels = facts.height * facts.width * channels;
  const { images, labels } = data.train;
  const train = { images: images.subarray(0, pictures * pixels), labels: labels.subarray(0, pictures) };
  const training = new MemoryTraining(model, recipe, { ...data, train });
  stop = new AbortController();
  try {
    const epoch = await learn(training, epochs, stop.signal);
    const isStopped = stop.signal.aborted;
    const { top1 } = await training.evaluate(Math.min(Math.floor(epoch), epochs - 1));
    tell({ type: 'epoch', epoch, top1 });
    const latent = await training.save();
    tell({ type: 'done', isStopped, top1, ...exported(latent, facts.version) });
  } finally {
    stop = null;
    training.dispose();
  }
}

/** @returns how many epochs were done. */
async function learn(training: MemoryTraining, epochs: number, signal: AbortSignal): Promise<number> {
  const { stepsPerEpoch: steps, batchSize } = training;
  let [seconds, images] = [0, 0];
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let step = 0; step < steps; step++) {
      const begin = performance.now();
      const { loss, correct } = await training.step(epoch, step);
      seconds += (performance.now() - begin) / 1000;
      images += batchSize;
      if (!Number.isFinite(loss)) {
        throw new BnnError('E_NUMERIC', `the loss became ${loss} in epoch ${epoch + 1}`, {
          hint: 'choose a lower learning rate',
        });
      }
      tell({ type: 'step', epoch, step, steps, loss, accuracy: correct / batchSize, seconds, images });
      if (signal.aborted) return epoch + (step + 1) / steps;
    }
    if (epoch + 1 === epochs) break;
    const { top1 } = await training.evaluate(epoch, signal);
    if (signal.aborted) return epoch + 1;
    tell({ type: 'epoch', epoch: epoch + 1, top1 });
  }
  return epochs;
}

/** As `bnn-train` saves a network and `bnn-export` packs it, byte for byte. */
function exported(trained: Parameters<typeof encodeModel>[0], version: string) {
  addBnnFunctions(trained);
  const latent = decodeModel(encodeModel(trained));
  shareEqualConstants(latent.graph);
  addBnnFunctions(latent);
  const floatBytes = encodeModel(latent).length;
  const { model } = lowerToPacked(latent);
  model.producerVersion = version;
  return { model: encodeModel(model), floatBytes };
}

open().catch(tellProblem);
