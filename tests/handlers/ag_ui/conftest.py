"""The client that the tests of this folder have."""

import pytest

from app.server import Server
from tests.handlers.ag_ui.agents import Agent


@pytest.fixture
def agent(headrace: Server) -> Agent:
    return Agent(headrace.url)
