"""Webhooks: other servers are told when answers have ended.

The relay stores with each ending which webhooks are to be told of it (`relay/outbox.py`), in the
same step, so that no crash loses one. `webhooks.py` says which those are, and has a sender for each
webhook (`sender.py`), which claims deliveries in the store, posts them (`posting.py`), and tries
again what was not accepted. What is posted is an event of OpenAI's (`events.py`), signed by the
scheme of Standard Webhooks (`signing.py`). `webhook.py` is what is known of a webhook, and
`building.py` makes it of its settings.
"""
