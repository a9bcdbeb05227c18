"""Recognisers as they are loaded: cards, graphs in torch and in ONNX Runtime, and the check that they are sound."""
