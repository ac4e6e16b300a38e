/** The figures of a model card, and how each is measured: once when the card is made, again whenever it is validated. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { countParameters } from '../../src/compiler/statistics.ts';
import { loadDataset } from '../../src/data/load-dataset.ts';
import { BnnError } from '../../src/errors.ts';
import { openSession } from '../../src/inference/open-session.ts';
import { type ValidateOptions, validateModel } from '../../src/inference/validate.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { formatCount, formatPercent } from '../../src/report/format.ts';
import type { Recipe } from '../../src/training/recipes/recipe.ts';

type FigureKind = 'count' | 'share' | 'text';

/** In the order in which they are shown. Shares are fractions, 0 … 1. */
export const FIGURES = {
  sha256: { kind: 'text', label: 'sha256 of model.onnx' },
  fileBytes: { kind: 'count', label: 'bytes of model.onnx' },
  oneBitParameters: { kind: 'count', label: 'parameters of one bit' },
  floatParameters: { kind: 'count', label: 'float parameters' },
  dataFingerprint: { kind: 'text', label: 'fingerprint of the data' },
  testPictures: { kind: 'count', label: 'test pictures' },
  packedTop1: { kind: 'share', label: 'top-1, packed, stock onnxruntime' },
  packedTop5: { kind: 'share', label: 'top-5, packed, stock onnxruntime' },
  opLibraryTop1: { kind: 'share', label: 'top-1, packed, operator library' },
  opLibraryTop5: { kind: 'share', label: 'top-5, packed, operator library' },
  latentTop1: { kind: 'share', label: 'top-1, latent, stock onnxruntime' },
  latentTop5: { kind: 'share', label: 'top-5, latent, stock onnxruntime' },
  agreement: { kind: 'share', label: 'same class, packed and latent' },
} as const satisfies Record<string, { readonly kind: FigureKind; readonly label: string }>;

export type FigureName = keyof typeof FIGURES;
export const FIGURE_NAMES = Object.keys(FIGURES) as FigureName[];

/** Null where a figure could not be measured. */
export type Figures = {
  readonly [K in FigureName]: ((typeof FIGURES)[K]['kind'] extends 'text' ? string : number) | null;
};

export interface Measurement {
  readonly figures: Figures;
  /** Why a figure is missing here, or may differ without any fault. */
  readonly reasons: Readonly<Partial<Record<FigureName, string>>>;
  /** What the reader of the figures should know, broken pictures among it. */
  readonly notes: readonly string[];
}

export interface MeasureOptions {
  /** The packed file. */
  readonly model: string;
  /** The file it was made from, where it is there. */
  readonly latent: string | undefined;
  readonly recipe: Recipe;
  /** Folder or archive of the data set. */
  readonly data: string | undefined;
  readonly onProgress?: ValidateOptions['onProgress'];
}

/**
 * Measures every figure over the whole test set.
 *
 * @throws {BnnError} what reading the model and the data throws.
 */
export async function measureFigures({
  model,
  latent,
  recipe,
  data,
  onProgress,
}: MeasureOptions): Promise<Measurement> {
  const bytes = await readFile(model);
  const { oneBit, float } = countParameters(decodeModel(bytes, { at: model }));
  const { fingerprint, train } = await loadDataset(recipe.dataset, {
    dir: data,
    limitTrain: recipe.limitTrain || undefined,
    limitTest: recipe.limitTest || undefined,
  });
  const common = { model, dataset: recipe.dataset, dir: data, onProgress };
  const stock = await validateModel({ ...common, ops: 'off', against: latent });
  const obstacle = await opLibraryObstacle(model);
  const ours = obstacle === undefined ? await validateModel({ ...common, ops: 'on' }) : null;
  const noLatent = latent === undefined ? 'the latent form is not here, see --latent' : undefined;
  return {
    figures: {
      sha256: createHash('sha256').update(bytes).digest('hex'),
      fileBytes: bytes.length,
      oneBitParameters: oneBit,
      floatParameters: float,
      dataFingerprint: fingerprint,
      testPictures: stock.images,
      packedTop1: stock.top1,
      packedTop5: stock.top5,
      opLibraryTop1: ours?.top1 ?? null,
      opLibraryTop5: ours?.top5 ?? null,
      latentTop1: stock.other?.top1 ?? null,
      latentTop5: stock.other?.top5 ?? null,
      agreement: stock.agreement,
    },
    reasons: {
      ...(train.count === 0 ? { dataFingerprint: 'the folder has no training pictures' } : {}),
      ...(obstacle === undefined ? {} : { opLibraryTop1: obstacle, opLibraryTop5: obstacle }),
      ...(noLatent === undefined ? {} : { latentTop1: noLatent, latentTop5: noLatent, agreement: noLatent }),
    },
    notes: [...new Set([...stock.notes, ...(ours?.notes ?? [])])],
  };
}

async function opLibraryObstacle(model: string): Promise<string | undefined> {
  try {
    await (await openSession(model, { ops: 'on' })).dispose();
    return undefined;
  } catch (error) {
    if (error instanceof BnnError && error.code === 'E_BACKEND') return error.message;
    throw error;
  }
}

/** As people read it; shares with as many digits as one picture in 10,000 needs. */
export function formatFigure(name: FigureName, value: string | number | null): string {
  if (value === null) return '-';
  if (typeof value === 'string') return value;
  return FIGURES[name].kind === 'share' ? formatPercent(value) : formatCount(value);
}
