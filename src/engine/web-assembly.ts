/** The part of WebAssembly's interface that is used here: TypeScript declares it only together with a browser's whole document. */

/** Growing memory of an instance. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** Compiled code; `wasm.compile` makes it. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: string;
}

interface WasmInterface {
  compile(bytes: Uint8Array): Promise<WasmModule>;
  instantiate(
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ): Promise<{ readonly exports: Readonly<Record<string, unknown>> }>;
  readonly RuntimeError: new () => Error;
}

export const wasm: WasmInterface = (globalThis as unknown as { readonly WebAssembly: WasmInterface }).WebAssembly;
