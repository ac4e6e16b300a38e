import { describe, expect, it } from 'vitest';
import { lowerToPacked } from '../../../src/compiler/lower-to-packed.ts';
import { convertOnnx } from '../../../src/convert/convert-onnx.ts';
import {
  encodePreprocessing,
  PREPROCESSING_KEY,
  parsePreprocessing,
} from '../../../src/core/pictures/preprocessing.ts';
import { toNumbers } from '../../../src/core/tensors/tensor.ts';
import type { Model } from '../../../src/graph/model.ts';
import { findParameters } from '../../../src/training/program/parameters.ts';
import { normalizationOf, prepareModel } from '../../../src/training/start/initial-model.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';
import { mobileCnn, smallCnn } from '../../convert/pytorch-style.ts';

const PICTURES = {
  name: 'digits',
  classes: Array.from({ length: 10 }, (_, i) => String(i)),
  channels: 1,
  height: 28,
  width: 28,
  mean: [0.1],
  std: [0.3],
};
const CHOICES = { normalize: 'dataset', newClassifier: false, seed: 1 } as const;
const latent = (source: Model): Model => convertOnnx(source).model;

describe('prepareModel', () => {
  it('opens a batch that the file fixes, also in reshapes', () => {
    const { model } = prepareModel(latent(smallCnn(1)), PICTURES, CHOICES, 'file');
    expect(model.graph.inputs[0]!.shape).toEqual(['N', 1, 28, 28]);
    expect(model.graph.outputs[0]!.shape).toEqual(['N', 10]);
    const [reshape] = [...model.graph.nodes()].filter((node) => node.is('Reshape'));
    expect(toNumbers(reshape!.input(1)!.constant!)).toEqual([0, 784]);
  });

  it('gives every normalization vectors of its own', () => {
    const source = latent(mobileCnn());
    expect(() => findParameters(source.graph)).toThrow('is used as norm and as buffer');
    const { model } = prepareModel(source, PICTURES, CHOICES, 'file');
    const infos = [...findParameters(model.graph).values()];
    const norms = [...model.graph.nodes()].filter((node) => node.is('BatchNormalization')).length;
    expect(infos.filter(({ role }) => role === 'norm')).toHaveLength(2 * norms);
    expect(infos.filter(({ role }) => role === 'buffer')).toHaveLength(2 * norms);
  });

  it('leaves a final Softmax to the loss', () => {
    const { model, notes } = prepareModel(latent(mobileCnn()), PICTURES, CHOICES, 'file');
    expect(notes).toEqual(['node "/Softmax" (Softmax) at the end is left out: the loss contains it']);
    expect(model.graph.outputs[0]!.producer!.op).toBe('Gemm');
  });

  it('replaces the classifier on request, and nothing else', () => {
    const before = latent(smallCnn('batch', 7));
    const { model } = prepareModel(latent(smallCnn('batch', 7)), PICTURES, { ...CHOICES, newClassifier: true }, 'file');
    expect(model.graph.outputs[0]!.shape).toEqual(['N', 10]);
    const weights = ({ graph }: Model) =>
      [...graph.nodes()].filter((node) => node.is('Conv') || node.is('Gemm')).map((node) => node.input(1)!.constant!);
    const [old, now] = [weights(before), weights(model)];
    expect(now.slice(0, -1)).toEqual(old.slice(0, -1));
    expect(now.at(-1)!.shape).toEqual([10, 784]);
    const bound = 1 / Math.sqrt(784);
    expect(toNumbers(now.at(-1)!).every((value) => Math.abs(value) <= bound)).toBe(true);
  });

  it("normalizes as the file says, unless the recipe says otherwise; else by the data set's statistics", () => {
    const withStatistics = () => {
      const model = buildModel('binarynet-mini', { seed: 1 });
      const text = encodePreprocessing({ dataset: 'other', mean: [0.25], std: [0.5], classes: [] });
      model.metadata.set(PREPROCESSING_KEY, text);
      return model;
    };
    const prepared = (model: Model, normalize: 'dataset' | 'none') =>
      normalizationOf(prepareModel(model, PICTURES, { ...CHOICES, normalize }, 'file').model);
    expect(prepared(withStatistics(), 'dataset')).toEqual({ mean: [0.25], std: [0.5] });
    expect(prepared(withStatistics(), 'none')).toEqual({ mean: [0], std: [1] });
    expect(prepared(latent(smallCnn()), 'dataset')).toEqual({ mean: [0.1], std: [0.3] });
  });

  it('says when its pictures are framed otherwise than those of the file', () => {
    const model = buildModel('binarynet-mini', { seed: 1 });
    const form = { filter: 'triangle', channelOrder: 'grey', layout: 'NCHW' } as const;
    const picture = { width: 28, height: 28, fit: 'squash', shorterSide: null, ...form } as const;
    const text = encodePreprocessing({ dataset: 'other', picture, mean: [0.25], std: [0.5], classes: [] });
    model.metadata.set(PREPROCESSING_KEY, text);
    const prepared = prepareModel(model, PICTURES, CHOICES, 'file');
    expect(prepared.notes.join()).toContain('framed by --fit squash; this run uses crop');
    expect(parsePreprocessing(prepared.model.metadata.get(PREPROCESSING_KEY)!).picture).toEqual({
      ...{ width: 28, height: 28, fit: 'crop', shorterSide: 28 },
      ...form,
    });
  });

  it('refuses a packed model and other classes', () => {
    const packed = lowerToPacked(buildModel('binarynet-mini', { seed: 1 })).model;
    expect(() => prepareModel(packed, PICTURES, CHOICES, 'file')).toThrow('the model is in packed form');
    expect(() => prepareModel(latent(smallCnn('batch', 7)), PICTURES, CHOICES, 'file')).toThrow(
      'the network tells 7 classes apart, digits has 10',
    );
  });
});
