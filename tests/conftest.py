"""A harsher place than a user's: one thread, fixed seeds."""

import os

import pytest
import torch
from hypothesis import settings

if not torch.cuda.is_available():  # before anybody imports triton
    os.environ["TRITON_INTERPRET"] = "1"

settings.register_profile("gonio", deadline=None, derandomize=True)
settings.load_profile("gonio")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
