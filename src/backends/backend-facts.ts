/** What the public interface tells of a backend: nothing of TensorFlow.js is in these types. */

/** What other parts of the toolchain ask about a backend instead of its name. */
export interface Capabilities {
  /** Whether it may compute on a GPU. */
  readonly gpu: boolean;
  /** Whether `threads` does something. */
  readonly threads: boolean;
  /** Whether BNN_KERNEL chooses its kernels. */
  readonly kernelChoice: boolean;
  /** Whether convolutions and poolings of tfjs take pairs as padding, not only VALID and SAME. */
  readonly explicitPadding: boolean;
  /** Whether kernels have finished when they return, so that their time can be measured. */
  readonly synchronous: boolean;
  /** Whether gradients may be multiplied in bfloat16. */
  readonly bf16: boolean;
  /** Whether tensors lie in memory of a device, which only `memory()` counts, not the system. */
  readonly deviceMemory: boolean;
  /** Whether moving numbers costs more than holding them, so that nothing is computed twice. */
  readonly keepsAll: boolean;
}

/** The backend that a training runs on. */
export interface BackendFacts {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Whether it computes on a GPU. */
  readonly isGpu: boolean;
  /** One line for people, e.g. "native avx512, 2 threads". */
  readonly description: string;
  /** Why `auto` chose it; not there when it was asked for. */
  readonly reason?: string;
  readonly threads: number;
  /** The instruction set of the kernels, where we choose it. */
  readonly isa: string | null;
}

export interface SetupOptions {
  /** A Python interpreter that has TensorFlow. */
  readonly python?: string | undefined;
  /** An unpacked libtensorflow. */
  readonly libtensorflow?: string | undefined;
}

export interface Setup {
  /** Those of `SetupOptions` that it knows. */
  readonly options: readonly (keyof SetupOptions)[];
  /**
   * Installs what the backend needs.
   *
   * @returns what was done, as facts and as text.
   * @throws {BnnError} naming what failed and what to do about it.
   */
  readonly run: (
    options: SetupOptions,
    onStage: (line: string) => void,
  ) => Promise<{ readonly facts: object; readonly text: string }>;
}
