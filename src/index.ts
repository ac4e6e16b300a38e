/** The public API: everything that the commands do, as functions. */

export { setupTensorflow } from './backends/tensorflow/setup-io.ts';
export { setupWebgpu } from './backends/webgpu/setup-io.ts';
export { type Lowered, type LowerOptions, lowerToPacked } from './compiler/lower-to-packed.ts';
export type { CompileReport, LayerReport } from './compiler/report.ts';
export { countMacs, countParameters, type LayerStatistics, layerStatistics } from './compiler/statistics.ts';
export { type Binarized, type BinarizeOptions, binarizeFloat } from './convert/binarize-float.ts';
export { type Converted, type ConvertOptions, type ConvertReport, convertOnnx } from './convert/convert-onnx.ts';
export type { LayerVerdict } from './convert/verdict/verdict.ts';
export { decodeSafetensors, encodeSafetensors, type Safetensors } from './core/formats/safetensors.ts';
export type { Finding } from './core/found.ts';
export { packSigns, signOf, unpackSigns } from './core/numbers/bits.ts';
export {
  type Fit,
  type PictureForm,
  PREPROCESSING_KEY,
  type Preprocessing,
  parsePreprocessing,
} from './core/pictures/preprocessing.ts';
export { type Dtype, float32, type Tensor, tensor } from './core/tensors/tensor.ts';
export type { Batch } from './data/batches/batch-maker.ts';
export { Batcher } from './data/batches/batches.ts';
export type { PictureBytes } from './data/batches/picture-bytes.ts';
export type { Dataset, LoadOptions, Split } from './data/dataset.ts';
export { DATASET_NAMES, loadDataset } from './data/load-dataset.ts';
export type { PlainDataset, PlainSplit } from './data/sets/plain-dataset.ts';
export type { Communicator } from './distributed/communicator.ts';
export { joinProcesses } from './distributed/mpi-communicator.ts';
export { BnnError, type ErrorCode } from './errors.ts';
export type { Estimator, EstimatorSchedule, SignRole } from './estimators/estimator.ts';
export type { EstimatorRow } from './estimators/table.ts';
export type { Attribute, Attributes } from './graph/attribute.ts';
export { type Dim, Graph, type Node, type Shape, type Value } from './graph/graph.ts';
export { inferShapes } from './graph/infer/infer-shapes.ts';
export { STANDARD_RULES } from './graph/infer/standard-rules.ts';
export { type GraphFunction, Model } from './graph/model.ts';
export { parseModel } from './graph/parse.ts';
export { printModel } from './graph/print.ts';
export { verify } from './graph/verify.ts';
export { type ClassifyOptions, classify, type Guess } from './inference/classify.ts';
export { toChannelsFirst } from './inference/image-input.ts';
export { type CheckpointName, findModel, type ModelSource } from './inference/model-source-io.ts';
export { type OpenedSession, type OpenOptions, openSession } from './inference/open-session.ts';
export type { RunOutput, Session, SessionOptions, TensorInfo } from './inference/session.ts';
export type { ValidateOptions, Validation } from './inference/validate.ts';
export { decodeModel } from './onnx/decode-model.ts';
export { encodeModel } from './onnx/encode-model.ts';
export { readModel, writeModel } from './onnx/model-io.ts';
export { addBnnFunctions, BNN_OPERATORS, BNN_RULES } from './operators/registry.ts';
export { benchData, type DataBenchRequest, type DataCase } from './tasks/bench-data.ts';
export {
  benchConv,
  benchModel,
  benchModelOn,
  type ConvBenchOptions,
  type InferenceBench,
  type InferenceBenchOptions,
  type ModelBenchOptions,
} from './tasks/bench-inference.ts';
export { benchTrain, type TrainBench, type TrainBenchRequest, type TrainCase } from './tasks/bench-train.ts';
export { benchWeb, type WebBench, type WebBenchRequest } from './tasks/bench-web.ts';
export {
  type ComparedRecipes,
  type CompareOptions,
  type ComparisonPlan,
  compareRecipes,
} from './tasks/compare-recipes.ts';
export { type ConvertedFile, type ConvertFileOptions, convertFile } from './tasks/convert-file.ts';
export {
  type ExportedModel,
  type ExportModelOptions,
  exportModel,
  type Verification,
} from './tasks/export-model.ts';
export { type CheckpointInspection, inspectFile, type ModelInspection } from './tasks/inspect-file.ts';
export { type LayerSummary, type ModelSummary, summarizeModel } from './tasks/model-summary.ts';
export { type OpenedTeacher, openTeacher } from './tasks/open-teacher.ts';
export {
  type BrokenPicture,
  type PredictedPicture,
  type Prediction,
  type PredictOptions,
  predictPictures,
} from './tasks/predict-pictures.ts';
export { type MachineReport, probeMachine } from './tasks/probe-machine.ts';
export { readRecipeFile, withModelFiles } from './tasks/read-recipe.ts';
export { type ReportOptions, type WrittenReport, writeReport } from './tasks/report-runs.ts';
export { setupCuda } from './tasks/setup-cuda-io.ts';
export { type TrainingSiteOptions, writeTrainingSite } from './tasks/training-site-io.ts';
export { type ModelValidation, validateModel } from './tasks/validate-model.ts';
export { type Site, writeSite } from './tasks/web-site-io.ts';
export type { Comparison } from './training/comparison/run-comparison-io.ts';
export type { OptimizerRow, OptimizerStep } from './training/optimizers/optimizer.ts';
export type { ScheduleMoment, ScheduleRow } from './training/optimizers/schedule.ts';
export type { WeightTransform, WeightTransformRow } from './training/optimizers/weight-transform.ts';
export type { AugmentationRow, AugmentedPicture } from './training/plugins/augmentation.ts';
export type { LoadedPlugin, PluginSource } from './training/plugins/load-plugin-io.ts';
export {
  type DatasetSourceRow,
  definePlugin,
  type NetworkRow,
  type Plugin,
  type PluginFactory,
  type PluginTools,
} from './training/plugins/plugin.ts';
export { defaultRecipe, parseRecipe } from './training/recipes/parse-recipe.ts';
export type { PluginRecord, Recipe } from './training/recipes/recipe.ts';
export type { EpochRecord } from './training/sessions/history-io.ts';
export type {
  Opening,
  ShownPictures,
  StepProgress,
  Teacher,
  TrainOptions,
  TrainResult,
} from './training/sessions/train-options.ts';
export { train } from './training/sessions/trainer.ts';
export type { NetworkOptions } from './zoo/network.ts';
export { buildModel, findNetwork, ZOO, zooNames } from './zoo/zoo.ts';
