/** Threads that work for kernels in WebAssembly (`native/wasm/thread_pool.cc`): workers of a browser or of Node. */

/** What such a thread is given. */
export interface KernelThread {
  /** Compiled, with threads. */
  readonly module: object;
  /** Shared with the instance that it works for. */
  readonly memory: object;
  /** From 1; 0 is the caller. */
  readonly index: number;
  /** Upper end of its stack in that memory. */
  readonly stack: number;
}

export interface StartedThread {
  /** When it is there; rejected when it cannot be. */
  readonly begun: Promise<void>;
  end(): Promise<void>;
}

/**
 * The function `work` that it runs, as text: then a worker begins the same way from the sources, from the package and from whatever a
 * bundler made of it. A trap is told to the caller, who may have asked for too much memory.
 */
export const WORK = `const work = ({ module, memory, index, stack }, onBegin) => {
  const instance = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const begin = () => {
    for (;;) {
      instance.__stack_pointer.value = stack;
      try {
        return instance.work(index);
      } catch {
        instance.workFailed();
      }
    }
  };
  onBegin(begin);
};`;
