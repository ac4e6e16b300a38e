import { expect, it } from 'vitest';
import * as api from '../src/index.ts';

it('exports these values and no others', () => {
  expect(Object.keys(api).sort()).toMatchInlineSnapshot(`
    [
      "BNN_OPERATORS",
      "BNN_RULES",
      "Batcher",
      "BnnError",
      "DATASET_NAMES",
      "Graph",
      "Model",
      "STANDARD_RULES",
      "ZOO",
      "addBnnFunctions",
      "buildModel",
      "countMacs",
      "countParameters",
      "decodeModel",
      "decodeSafetensors",
      "defaultRecipe",
      "encodeModel",
      "encodeSafetensors",
      "findNetwork",
      "float32",
      "inferShapes",
      "layerStatistics",
      "loadDataset",
      "lowerToPacked",
      "openSession",
      "packSigns",
      "parseModel",
      "parseRecipe",
      "printModel",
      "readModel",
      "signOf",
      "tensor",
      "train",
      "unpackSigns",
      "validateModel",
      "verify",
      "writeModel",
      "zooNames",
    ]
  `);
});
