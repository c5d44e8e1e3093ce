"""
The service: a clip comes in by HTTP, its score and the contributions of its fragments go out.

It never imports `training`.
"""
