/** The native files by name: what `build/` and each platform package hold, and the library of onnxruntime that one of them opens. */

import { familySync, MUSL } from 'detect-libc';

/** What there are prebuilt packages for; `tools/release.mjs` makes them. */
export const PLATFORMS = [
  'linux-x64',
  'linux-arm64',
  'linux-x64-musl',
  'darwin-arm64',
  'darwin-x64',
  'win32-x64',
] as const;
export type PlatformName = (typeof PLATFORMS)[number];

export interface NativeFiles {
  /** The addon of the `native` backend. */
  readonly training: string;
  /** The addon that drives onnxruntime. */
  readonly session: string;
  /** The kernels of the `bnn` operators, for any onnxruntime. */
  readonly operators: string;
}

const OPERATORS: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  darwin: 'libbnn_ops.dylib',
  win32: 'bnn_ops.dll',
};

export function nativeFiles(system: NodeJS.Platform = process.platform): NativeFiles {
  return {
    training: 'bnn_native.node',
    session: 'bnn_ort.node',
    operators: OPERATORS[system] ?? 'libbnn_ops.so',
  };
}

/** The platform of this process; undefined where no package is made for it. */
export function platformName(): PlatformName | undefined {
  const name = `${process.platform}-${process.arch}${familySync() === MUSL ? '-musl' : ''}`;
  return PLATFORMS.find((platform) => platform === name);
}

/** The package with the native files of a platform: build.json, package.json and `nativeFiles` side by side. */
export function platformPackage(platform: PlatformName): string {
  return `@bnn-toolchain/${platform}`;
}

/** Whether a file is the library of onnxruntime, as npm's onnxruntime-node and the releases name it. */
export function isRuntimeLibrary(name: string): boolean {
  return /^(libonnxruntime\.(so(\.\d+)*|(\d+\.)*dylib)|onnxruntime\.dll)$/.test(name);
}
