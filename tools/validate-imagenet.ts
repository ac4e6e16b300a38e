/**
 * Reproduces every figure of the card of a model for ImageNet:
 *
 *     npx tsx tools/validate-imagenet.ts models/NAME [--data DIR] [--latent RUN_OR_FILE] [--json]
 *
 * Runs the packed file over the whole test set, in stock onnxruntime and with the operator library, and beside it the latent form
 * where it is there (models/NAME/latent.onnx, or --latent). Prints each figure of the card, the reproduced one, and whether they are
 * equal. Exit code 1 when one differs; what cannot be measured here is said, and does not count. DIR holds val/<wnid>/*.JPEG and may
 * hold train/; pictures that cannot be decoded are left out and named.
 */

import { runValidation } from './model-card/validate-card.ts';

await runValidation('validate-imagenet', 'imagenet', process.argv.slice(2));
