"""Providers of models: how requests to them are made and how their responses are read.

`openai.py`, `openai_responses.py`, `anthropic.py`, `gemini.py`, `ollama.py`, `dashscope.py`,
`qianfan.py` and `qianfan_v1.py` are the dialects. They and all modules that read responses
(`response_reader.py`, `sse.py`, `assembler.py` …) are pure: `http_client/` owns the sockets.
`provider.py` is a configured provider, `call.py` one request to it with its timeouts.
"""
