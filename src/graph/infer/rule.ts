/** What a shape rule sees and returns. */

import type { Node, ValueType } from '../graph.ts';

/**
 * Computes dtype and shape of each output of a node from its inputs' types, constants and attributes. Unknown parts are null.
 *
 * @throws {BnnError} E_SHAPE or E_FORMAT when the inputs cannot be right for the operator.
 */
export type InferRule = (node: Node, opset: number) => readonly ValueType[];

/** Rules by `Node.type`: `Conv`, `bnn.Sign`. */
export type InferRules = ReadonlyMap<string, InferRule>;
