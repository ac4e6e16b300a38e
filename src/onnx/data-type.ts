/** Names of ONNX element types, also of those that this project does not handle, for messages. */

import { TensorProtoDataType } from './generated/onnx.ts';

const NAME_OF = new Map<number, string>(Object.entries(TensorProtoDataType).map(([name, code]) => [code, name]));

/** `FLOAT8E4M3FN`; `data type 99` when the standard did not know it yet. */
export function dataTypeName(dataType: number): string {
  return NAME_OF.get(dataType) ?? `data type ${dataType}`;
}
