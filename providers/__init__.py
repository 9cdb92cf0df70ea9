"""Providers of models: what they are asked, and what their answers mean.

`openai.py`, `dashscope.py`, `qianfan.py` and `qianfan_v1.py` are the dialects. They and all that
reads responses (`response_reader.py`, `sse.py`, `assembler.py` …) are pure: `http_client/` owns
sockets.
`provider.py` is a configured provider, `call.py` one request to it under its timeouts.
"""
