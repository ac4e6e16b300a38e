/** The names that select a backend; apart from what loads TensorFlow.js, so that help and parsing need not wait for it. */

export const BACKEND_NAMES = ['auto', 'native', 'tensorflow', 'webgpu', 'cpu'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];
