/** Accuracy, agreement and speed of a model on a data set, wherever the model lies. */

import { findModel } from '../inference/model-source-io.ts';
import { type ValidateOptions, type Validation, validateModel as validateFile } from '../inference/validate.ts';

export interface ModelValidation extends Validation {
  /** The ONNX file that ran. */
  readonly model: string;
}

/**
 * Runs a model on the test pictures of a data set.
 *
 * @param options  `model` and `against` may be ONNX files or run folders.
 * @throws {BnnError} E_NOT_FOUND and E_FORMAT for what is no model, and what loading the data and running throw.
 */
export async function validateModel(options: ValidateOptions): Promise<ModelValidation> {
  const fileOf = async (source: string) => (await findModel(source)).path;
  const model = await fileOf(options.model);
  const against = options.against === undefined ? undefined : await fileOf(options.against);
  return { model, ...(await validateFile({ ...options, model, against })) };
}
