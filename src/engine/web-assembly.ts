/** The part of WebAssembly's interface that is used here: TypeScript declares it only together with a browser's whole document. */

/** Growing memory of an instance. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  grow(pages: number): number;
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
  /** Sizes in pages of 64 KiB. */
  readonly Memory: new (sizes: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: boolean;
  }) => WasmMemory;
}

export const wasm: WasmInterface = (globalThis as unknown as { readonly WebAssembly: WasmInterface }).WebAssembly;
