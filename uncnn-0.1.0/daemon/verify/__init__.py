"""The verdict: what recognisers say of the very bytes that would be released, in ONNX Runtime and without torch."""
