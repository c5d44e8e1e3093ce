"""The models of requests and answers. Their names are a contract with clients."""
