"""The objects that all handlers work with."""

from typing import NamedTuple

from auth.tickets import Tickets
from handlers.ai_sdk.received_calls import ReceivedCalls
from handlers.authenticator import Authenticator
from handlers.cors import Cors
from handlers.disconnects import DisconnectWatcher
from handlers.event_streams import EventStreams
from handlers.open_requests import OpenRequests
from handlers.question_body import QuestionReader
from handlers.refusal_log import RefusalLog
from handlers.response_bodies import QuestionLimits
from handlers.store_health import StoreHealth
from relay.models import Models
from relay.relay import Relay
from sockets.body_budget import BodyBudget
from storage.contract import Storage
from telemetry.metrics import Metrics


class Services(NamedTuple):
    """Made once, in `app/composition.py`."""

    relay: Relay
    storage: Storage
    store_health: StoreHealth
    refusal_log: RefusalLog
    models: Models
    open_requests: OpenRequests
    event_streams: EventStreams
    disconnects: DisconnectWatcher
    authenticator: Authenticator
    tickets: Tickets
    cors: Cors
    max_body_bytes: int
    max_file_body_bytes: int  # of a question with files
    question_limits: QuestionLimits
    question_reader: QuestionReader
    received_calls: ReceivedCalls
    body_budget: BodyBudget
    file_body_budget: BodyBudget  # for what is beyond `max_body_bytes`
    base_path: str  # prefix of all paths, as clients see them
    metrics: Metrics
    metrics_here: bool  # the port belongs to this process alone, and `metrics.port` is unset
