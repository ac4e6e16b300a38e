/** `.keras` files: a ZIP archive of the weights (`model.weights.h5`) and of what the network is (`config.json`). */

import { KERAS_WEIGHTS } from '../../core/files/file-kind.ts';
import { contentBudget } from '../../core/formats/memory-budget.ts';
import { readZip } from '../../core/formats/zip.ts';
import { BnnError } from '../../errors.ts';
import { type KerasCheckpoint, readKerasCheckpoint } from './keras-checkpoint.ts';
import { layersOfConfig } from './layer-config.ts';

/** Descriptions of networks take kilobytes. */
const MOST_CONFIG_BYTES = 16e6;

/**
 * Reads the weights. The description tells what the file of weights does not: the names of layers in files of older versions, and which
 * of gamma and beta a normalization has.
 *
 * @throws {BnnError} E_FORMAT for a damaged archive, and as `readKerasCheckpoint`.
 */
export async function readKerasArchive(bytes: Uint8Array, at?: string): Promise<KerasCheckpoint> {
  const entries = readZip(bytes, at);
  const budget = contentBudget(bytes.length);
  const read = (name: string): Uint8Array | undefined => {
    const entry = entries.get(name);
    if (entry === undefined) return undefined;
    try {
      budget.charge(entry.size);
      return entry.read();
    } catch (error) {
      if (!(error instanceof BnnError) || error.at !== undefined) throw error;
      throw new BnnError(error.code, error.message, { at, hint: error.hint, cause: error });
    }
  };
  const weights = read(KERAS_WEIGHTS);
  if (weights === undefined) throw new BnnError('E_FORMAT', `the archive holds no ${KERAS_WEIGHTS}`, { at });
  const isUsual = (entries.get('config.json')?.size ?? 0) <= MOST_CONFIG_BYTES;
  const config = isUsual ? read('config.json') : undefined;
  return readKerasCheckpoint(weights, at, config === undefined ? [] : layersOfConfig(new TextDecoder().decode(config)));
}
