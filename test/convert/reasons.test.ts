import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Converted, convertOnnx } from '../../src/convert/convert-onnx.ts';
import { BnnError } from '../../src/errors.ts';
import { int, ints } from '../../src/graph/attribute.ts';
import type { Value } from '../../src/graph/graph.ts';
import type { Model } from '../../src/graph/model.ts';
import { readModel } from '../../src/onnx/model-io.ts';
import { Source } from './build.ts';
import { hasShared, sharedPath } from './shared-files.ts';

/** Every text of a report that may name something. */
function textsOf({ report, lowered }: Converted): string[] {
  const { layers, misses } = lowered.report;
  return [
    ...report.layers.flatMap(({ reason, sharedWith }) => [reason, `"${sharedWith ?? ''}"`]),
    ...[...report.signs.ternary, ...report.signs.neverZero, ...report.signs.changed].map((name) => `"${name}"`),
    ...layers.flatMap(({ folded, reasons }) => [...folded, ...reasons.flatMap(({ of, reason }) => [of ?? '', reason])]),
    ...misses.map(({ reason }) => reason),
    ...[...report.layers, ...misses.map(({ node }) => ({ name: node }))].map(({ name }) => `"${name}"`),
    ...misses.map(({ culprit }) => `"${culprit}"`),
  ];
}

/** What is named in quotes, or as a weight, a bias or an input. */
function namesIn(text: string): string[] {
  // `"the Mul behind "conv1""` names conv1.
  const plain = text.replace(/"(?:the|a) [\w.]+ (?:behind (?:the input )?|of constants)(.*?)"$/, '$1');
  const quoted = Array.from(plain.matchAll(/"([^"]*)"/g), ([, name = '']) => name);
  const operands = Array.from(
    plain.matchAll(/its (?:weight|bias|input C) \(?([^\s()]+)\)? (?:is|goes)/g),
    ([, name = '']) => name,
  );
  return [...quoted, ...operands].filter((name) => name !== '' && !['has', 'is'].includes(name));
}

function strangers(source: Model, converted: Converted): string[] {
  const known = new Set([...source.graph.values.keys(), ...Array.from(source.graph.nodes(), ({ name }) => name)]);
  return textsOf(converted).filter((text) => namesIn(text).some((name) => !known.has(name)));
}

type Build = (s: Source, x: Value) => Value;

/** Networks of unnamed nodes of which a conversion makes others. */
const NETWORKS: readonly (readonly [string, Build])[] = [
  [
    'factors that differ within a sum',
    (s, x) => {
      const signs = s.op('Where', [s.op('Less', [x, s.c(0.25)]), s.c(-1), s.c(1)]);
      return s.op('Conv', [s.op('Mul', [signs, s.c(s.normals([4, 1, 1]))]), s.c(s.signs([8, 4, 3, 3]))]);
    },
  ],
  [
    'a layer behind a computed factor',
    (s, x) => {
      const y = s.op('Conv', [s.op('Sign', [x]), s.c(s.signs([4, 4, 1, 1], [0.5, 2]))]);
      const scaled = s.op('Mul', [y, s.op('ReduceMax', [x], { axes: ints([1, 2, 3]) })]);
      return s.op('Conv', [s.op('Relu', [scaled]), s.c(s.normals([4, 4, 1, 1]))]);
    },
  ],
  [
    'transposed pictures, ternary and rounded data',
    (s, x) => {
      const last = s.op('Transpose', [x], { perm: ints([0, 2, 3, 1]) });
      const back = s.op('Transpose', [s.op('Sign', [s.op('Mul', [last, s.c(2)])])], { perm: ints([0, 3, 1, 2]) });
      const y = s.op('Conv', [back, s.c(s.signs([4, 4, 3, 3], [3]))]);
      const rounded = s.op('Mul', [
        s.op('Round', [s.op('Clip', [s.op('Mul', [y, s.c(7)]), s.c(0), s.c(15)])]),
        s.c(0.1),
      ]);
      return s.op('Conv', [rounded, s.c(s.signs([4, 4, 1, 1]))]);
    },
  ],
  [
    'a stack of vectors with weights on the left, computed weights',
    (s, x) => {
      const rows = s.op('Reshape', [s.op('GreaterOrEqual', [x, s.c(0)]), s.ints([0, 4, -1])]);
      const signs = s.op('Sub', [s.op('Mul', [s.op('Cast', [rows], { to: int(1) }), s.c(2)]), s.c(1)]);
      const y = s.op('MatMul', [s.c(s.signs([4, 4], [0.5])), signs]);
      return s.op('MatMul', [s.op('Sign', [y]), s.op('Transpose', [s.op('Relu', [y])], { perm: ints([0, 2, 1]) })]);
    },
  ],
  [
    'a residual around binary layers',
    (s, x) => {
      const one = s.op('Conv', [s.op('Sign', [s.op('Add', [x, s.c(0.1)])]), s.c(s.signs([4, 4, 1, 1], [2, 3]))]);
      const relu = s.op('Relu', [s.op('Add', [s.op('Mul', [one, s.c(-0.5)]), s.c(s.normals([4, 1, 1]))])]);
      return s.op('Mul', [s.op('Add', [relu, x]), s.op('Add', [one, relu])]);
    },
  ],
];

describe('reports name what stands in the file', () => {
  it.each(NETWORKS)('%s', (_, build) => {
    for (const signZero of ['exact', 'plus'] as const) {
      const s = new Source(['N', 4, 6, 6]);
      const model = s.finish(build(s, s.x));
      expect(strangers(model, convertOnnx(model, { signZero }))).toEqual([]);
    }
  });

  it('finds a name that does not', () => {
    expect(namesIn('rounded to several levels by node "Mul_2_27" (Mul)')).toEqual(['Mul_2_27']);
    expect(namesIn('its weight Mul_2_27 is not constant')).toEqual(['Mul_2_27']);
    expect(namesIn('"the Mul behind "conv1""')).toEqual(['conv1']);
  });

  it('in words where a node is new: what stands in front of it in the file', () => {
    const s = new Source(['N', 4, 6, 6]);
    const [, [, build]] = NETWORKS as [unknown, (typeof NETWORKS)[number]];
    const { lowered } = convertOnnx(s.finish(build(s, s.x)));
    expect(lowered.report.layers.map(({ folded }) => folded)).toEqual([['scale (the Mul behind "Conv")'], []]);
  });

  const files = [
    'foreign',
    ...['io-types', 'new-ops', 'one-logit', 'qcdq', 'silent-layers', 'tied'].map((x) => `cases/${x}`),
  ]
    .filter(hasShared)
    .flatMap((folder) => readdirSync(sharedPath(folder)).map((file) => `${folder}/${file}`))
    .filter((file) => file.endsWith('.onnx'));
  it.skipIf(files.length === 0)('of files from elsewhere (skipped without ../shared)', async () => {
    for (const file of files) {
      const source = await readModel(sharedPath(file));
      let converted: Converted;
      try {
        converted = convertOnnx(source);
      } catch (error) {
        // Files that are to be refused are there too.
        expect(error, file).toBeInstanceOf(BnnError);
        continue;
      }
      expect(strangers(source, converted), file).toEqual([]);
    }
  });
});
