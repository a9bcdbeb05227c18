"""Recognisers in: from what was published to one ONNX file and one card each."""
