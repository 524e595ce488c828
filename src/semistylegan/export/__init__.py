"""A trained model in the forms in which others use it: a clean checkpoint, ONNX files, a page without a server."""
