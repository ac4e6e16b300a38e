/** What the numbers mean that the classifier in a file gives. */

import { BnnError } from '../errors.ts';
import { type OutputForm, outputFormOf } from '../graph/output-form.ts';
import { readModel } from '../onnx/model-io.ts';

/** Of a file, as `outputFormOf`; logits where this project cannot read it, though onnxruntime may. */
export async function readOutputForm(path: string): Promise<(outputs: number) => OutputForm> {
  try {
    return outputFormOf((await readModel(path)).graph);
  } catch (error) {
    if (error instanceof BnnError && error.code === 'E_UNSUPPORTED') return () => 'logits';
    throw error;
  }
}
