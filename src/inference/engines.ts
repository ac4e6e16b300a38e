/** The engines: what runs packed models without onnxruntime. */

import type { Engine } from './engine.ts';
import { createWasmSession } from './wasm-session.ts';

const row = <const N extends string>(it: Engine<N>) => it;

const WASM = row({ name: 'wasm', title: 'our kernels in WebAssembly', open: createWasmSession });

/** In the order of the help. */
const OWN_ENGINES = [WASM];
type OwnEngine = (typeof OWN_ENGINES)[number];

/** What `auto` takes where onnxruntime or the operator library is missing and the model has work for it. */
export const AUTOMATIC_ENGINE: OwnEngine = WASM;

export type EngineName = 'auto' | 'onnxruntime' | OwnEngine['name'];
export const ENGINES: readonly EngineName[] = ['auto', 'onnxruntime', ...OWN_ENGINES.map(({ name }) => name)];

/** Null for `auto` and `onnxruntime`. */
export function ownEngine(name: EngineName): OwnEngine | null {
  return OWN_ENGINES.find((engine) => engine.name === name) ?? null;
}

export function describeEngines(): string {
  return OWN_ENGINES.map(({ name, title }) => `${name} = ${title}`).join('; ');
}
