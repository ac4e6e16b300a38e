/** What a file says of itself that onnxruntime does not tell. */

import { PREPROCESSING_KEY, type Preprocessing, parsePreprocessing } from '../core/pictures/preprocessing.ts';
import { BnnError } from '../errors.ts';
import { type OutputForm, outputFormOf } from '../graph/output-form.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import { readModel } from '../onnx/model-io.ts';

export interface ModelFacts {
  readonly preprocessing: Preprocessing | null;
  /** Whether values are rounded to few steps on the way. */
  readonly isQuantized: boolean;
  /** What so many outputs mean. */
  readonly formOf: (outputs: number) => OutputForm;
}

/**
 * @param model  path of an ONNX file, or its bytes.
 * @throws {BnnError} what reading an ONNX file throws, but not E_UNSUPPORTED; E_FORMAT for a description of pictures that makes no sense.
 */
export async function readFacts(model: string | Uint8Array): Promise<ModelFacts> {
  try {
    const { metadata, graph } = typeof model === 'string' ? await readModel(model) : decodeModel(model);
    const text = metadata.get(PREPROCESSING_KEY);
    const isQuantized = [...graph.nodes()].some((node) => node.is('QuantizeLinear'));
    const at = typeof model === 'string' ? model : undefined;
    const preprocessing = text === undefined ? null : parsePreprocessing(text, at);
    return { preprocessing, isQuantized, formOf: outputFormOf(graph) };
  } catch (error) {
    // onnxruntime may well run what the IR of this project cannot hold.
    if (!(error instanceof BnnError) || error.code !== 'E_UNSUPPORTED') throw error;
    return { preprocessing: null, isQuantized: false, formOf: () => 'logits' };
  }
}
