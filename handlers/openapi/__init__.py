"""The OpenAPI description of the API as pure functions, made of the handlers' types. No I/O."""
