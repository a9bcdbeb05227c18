// What the page uses of ONNX Runtime Web, for the check of its scripts' types.

export class Tensor {
  constructor(type: "float32", data: Float32Array, dims: readonly number[]);
  readonly data: Float32Array;
}

export interface InferenceSession {
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
}

export const InferenceSession: {
  create(model: Uint8Array, options?: { executionProviders?: string[] }): Promise<InferenceSession>;
};

export const env: { wasm: { numThreads: number; wasmBinary: ArrayBuffer } };
