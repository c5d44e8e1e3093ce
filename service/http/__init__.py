"""
HTTP: connections, limits, routes, problems, events, and the models of what goes over the wire.

It knows requests and answers. It never looks at pixels, and it imports no PyTorch.
"""
