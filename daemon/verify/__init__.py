"""The verdict: what recognisers say of the very bytes that would be published, in ONNX Runtime and without torch."""
