/** The public API: everything that the commands do, as functions. */

export { lowerToPacked } from './compiler/lower-to-packed.ts';
export type { CompileReport, LayerReport } from './compiler/report.ts';
export { packSigns, signOf, unpackSigns } from './core/bits.ts';
export { decodeSafetensors, encodeSafetensors, type Safetensors } from './core/safetensors.ts';
export { type Dtype, float32, type Tensor, tensor } from './core/tensor.ts';
export { Batcher } from './data/batches.ts';
export type { Dataset, Split } from './data/dataset.ts';
export { DATASET_NAMES, loadDataset } from './data/load-dataset.ts';
export { BnnError, type ErrorCode } from './errors.ts';
export type { Attribute, Attributes } from './graph/attribute.ts';
export { type Dim, Graph, type Node, type Shape, type Value } from './graph/graph.ts';
export { inferShapes } from './graph/infer/infer-shapes.ts';
export { STANDARD_RULES } from './graph/infer/standard-rules.ts';
export { type GraphFunction, Model } from './graph/model.ts';
export { parseModel } from './graph/parse.ts';
export { printModel } from './graph/print.ts';
export { countMacs, countParameters, type LayerStatistics, layerStatistics } from './graph/statistics.ts';
export { verify } from './graph/verify.ts';
export { type OpenedSession, type OpenOptions, openSession } from './inference/open-session.ts';
export { type ValidateOptions, type Validation, validateModel } from './inference/validate.ts';
export { decodeModel } from './onnx/decode-model.ts';
export { encodeModel } from './onnx/encode-model.ts';
export { readModel, writeModel } from './onnx/model-io.ts';
export { addBnnFunctions, BNN_OPERATORS, BNN_RULES } from './operators/registry.ts';
export { defaultRecipe, parseRecipe, type Recipe } from './training/recipe.ts';
export { type TrainOptions, type TrainResult, train } from './training/trainer.ts';
export { buildModel, findNetwork, ZOO, zooNames } from './zoo/zoo.ts';
