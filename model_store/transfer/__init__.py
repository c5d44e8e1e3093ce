"""
Checkpoints that leave a store and enter another one: archives, folders, addresses, ONNX files.

The rule: nothing enters a store unverified, and what comes from elsewhere is read by name, size and
kind before it is written anywhere.
"""
