// @ts-nocheck
// Generated from proto/event.proto by tools/gen-proto.ts: do not edit.
import type Long from 'long';

export interface Event {
  readonly wallTime: number | null;
  readonly step: Long | null;
  readonly fileVersion: string | null;
  readonly summary: Summary | null;
  readonly sessionLog: SessionLog | null;
}
export interface SessionLog {
  readonly status: number | null;
}
export interface Summary {
  readonly value: readonly SummaryValue[];
}
export interface SummaryValue {
  readonly tag: string | null;
  readonly simpleValue: number | null;
  readonly image: SummaryImage | null;
  readonly histo: Histogram | null;
  readonly tensor: Tensor | null;
  readonly metadata: SummaryMetadata | null;
}
export interface SummaryImage {
  readonly height: number | null;
  readonly width: number | null;
  readonly colorspace: number | null;
  readonly encodedImageString: Uint8Array | null;
}
export interface SummaryMetadata {
  readonly pluginData: SummaryPluginData | null;
  readonly displayName: string | null;
  readonly summaryDescription: string | null;
}
export interface SummaryPluginData {
  readonly pluginName: string | null;
}
export interface Histogram {
  readonly min: number | null;
  readonly max: number | null;
  readonly num: number | null;
  readonly sum: number | null;
  readonly sumSquares: number | null;
  readonly bucketLimit: readonly (number | Uint8Array)[];
  readonly bucket: readonly (number | Uint8Array)[];
}
export interface Tensor {
  readonly dtype: number | null;
  readonly tensorShape: TensorShape | null;
  readonly stringVal: readonly Uint8Array[];
}
export interface TensorShape {
  readonly dim: readonly TensorDim[];
}
export interface TensorDim {
  readonly size: Long | null;
}

/** A message as it is encoded: every field may be left out. */
export type Init<T> = T extends Uint8Array | Long | number | string | null
  ? T
  : T extends readonly (infer E)[]
    ? readonly Init<E>[]
    : { readonly [K in keyof T]?: Init<T[K]> | undefined };
