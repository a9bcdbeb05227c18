"""The page in a browser of this machine: photos are dropped, what became of them is seen, and a person decides.

Imports neither torch nor ONNX Runtime, and decodes no photo.
"""
