"""The service: a clip comes in by HTTP, its score and what each fragment contributed go out."""
