"""tools/serve: an endpoint for OpenAI's clients on this machine, over processes of lodge-client."""
