/**
 * Several small pieces of work in one dispatch. A network has dozens of weights, and each step moves each of them by the same rule; pieces
 * of the same kind that are given one after another wait here until a dispatch binds as many buffers as it may, or until any other command
 * is given.
 *
 * While a piece waits, its inputs may be disposed: their buffers are held, so that nothing is written to them before it ran.
 */

import type * as tf from '@tensorflow/tfjs-core';
import type { GpuBuffer } from './device.ts';
import { type Dispatch, dispatchBuffers, uploaded } from './dispatch.ts';
import type { WebgpuBackend } from './webgpu-backend.ts';

type Tensors = Readonly<Record<string, tf.TensorInfo>>;
type Buffers = Readonly<Record<string, GpuBuffer>>;

export interface Piece extends Pick<Dispatch, 'label' | 'numbers' | 'varying' | 'elements'> {
  /** Inputs and outputs have the same names in all pieces of a kind. */
  readonly inputs: Tensors;
  readonly outputs: Tensors;
  /**
   * WGSL of one group of 256 threads of the piece: knows its number among those of the piece as `group`, the thread as `lid`, and buffers as
   * `NAME_#`, # being put in its place. Called by all threads of the group.
   */
  readonly code: string;
  /** WGSL of how many groups the piece takes, from the sizes of its buffers. */
  readonly groupsCode: string;
  readonly groups: number;
  /** WGSL before the functions. */
  readonly declarations?: string;
}

interface Waiting {
  readonly kind: string;
  readonly pieces: { readonly piece: Piece; readonly inputs: Buffers; readonly outputs: Buffers }[];
  readonly inputs: Set<GpuBuffer>;
  readonly outputs: Set<GpuBuffer>;
}

const waiting = new WeakMap<WebgpuBackend, Waiting>();

/** Gives a piece to the device, now or with others. Its outputs can be used as if it had run. */
export function dispatchPiece(backend: WebgpuBackend, piece: Piece): void {
  const { label, code, groupsCode, numbers = {}, varying } = piece;
  const kind = JSON.stringify([label, code, groupsCode, Object.keys(piece.inputs), numbers, varying?.key ?? null]);
  const buffersOf = (tensors: Tensors): Buffers =>
    Object.fromEntries(Object.entries(tensors).map(([name, { dataId }]) => [name, uploaded(backend, dataId)]));
  const given = { piece, inputs: buffersOf(piece.inputs), outputs: buffersOf(piece.outputs) };
  const [inputs, outputs] = [Object.values(given.inputs), Object.values(given.outputs)];
  const before = waiting.get(backend);
  if (before !== undefined && (before.kind !== kind || inputs.some((buffer) => before.outputs.has(buffer)))) {
    flushPieces(backend);
  }
  const now = waiting.get(backend) ?? { kind, pieces: [], inputs: new Set(), outputs: new Set() };
  waiting.set(backend, now);
  now.pieces.push(given);
  for (const buffer of inputs) {
    backend.bufferManager.hold(buffer);
    now.inputs.add(buffer);
  }
  for (const buffer of outputs) now.outputs.add(buffer);
  const limit = backend.device.limits['maxStorageBuffersPerShaderStage'] ?? 8;
  if ((now.pieces.length + 1) * (inputs.length + outputs.length) > limit) flushPieces(backend);
}

/** Gives what waits to the device. */
export function flushPieces(backend: WebgpuBackend): void {
  const now = waiting.get(backend);
  if (now === undefined) return;
  waiting.delete(backend);
  const first = now.pieces[0]?.piece;
  if (first === undefined) return;
  const numbered = (buffers: Buffers, k: number) =>
    Object.entries(buffers).map(([name, buffer]) => [`${name}_${k}`, buffer] as const);
  const groups = now.pieces.reduce((sum, { piece }) => sum + piece.groups, 0);
  const x = Math.min(groups, 65535);
  dispatchBuffers(backend, {
    label: first.label,
    code: groupedCode(first, now.pieces.length),
    inputs: Object.fromEntries(now.pieces.flatMap(({ inputs }, k) => numbered(inputs, k))),
    outputs: Object.fromEntries(now.pieces.flatMap(({ outputs }, k) => numbered(outputs, k))),
    elements: Object.fromEntries(
      now.pieces.flatMap(({ piece }, k) =>
        Object.entries(piece.elements ?? {}).map(([name, of]) => [`${name}_${k}`, of]),
      ),
    ),
    ...(first.numbers !== undefined && { numbers: first.numbers }),
    varying: first.varying,
    groups: [x, Math.ceil(groups / x), 1],
  });
  for (const buffer of now.inputs) backend.bufferManager.unhold(buffer);
}

function groupedCode({ code, groupsCode, declarations = '' }: Piece, count: number): string {
  const pieces = Array.from({ length: count }, (_, k) => k);
  const of = (text: string, k: number) => text.replaceAll('#', String(k));
  const functions = pieces.map((k) => `fn piece_${k}(group: u32, lid: u32) {\n${of(code, k)}\n}`);
  const calls = pieces.map((k) => {
    const groups = of(groupsCode, k);
    return `  if (group < ${groups}) { piece_${k}(group, lid); return; }\n  group -= ${groups};`;
  });
  return `${declarations}
${functions.join('\n')}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  var group = wid.y * groups.x + wid.x;
${calls.join('\n')}
}`;
}
