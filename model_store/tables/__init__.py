"""
Tables that people and their spreadsheets wrote, and the clips that they name.

It imports neither PyTorch nor video.
"""
