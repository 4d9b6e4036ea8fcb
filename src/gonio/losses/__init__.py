"""Every named loss, as a function from its settings to a `Loss`.

    gonio.losses.names()                            # all of them
    gonio.losses.arcface(margin=0.5, scale=64.0)    # one, with its settings
    gonio.losses.get("arcface").source              # what is known of it

To add one, write a function below `@row` in the family's file and name it in that file's `__all__`.
"""

# The order of the survey is the order of the table.
# isort: off
from gonio.losses.chain import *  # noqa: F403
from gonio.losses.normalised import *  # noqa: F403
from gonio.losses.additive import *  # noqa: F403
from gonio.losses.multiplicative import *  # noqa: F403
from gonio.losses.linear import *  # noqa: F403
from gonio.losses.per_class import *  # noqa: F403
from gonio.losses.per_sample import *  # noqa: F403
from gonio.losses.hard import *  # noqa: F403
from gonio.losses.centers import *  # noqa: F403
from gonio.losses.binary import *  # noqa: F403
from gonio.losses.proxies import *  # noqa: F403
from gonio.losses.contrastive import *  # noqa: F403
from gonio.losses.regularised import *  # noqa: F403
from gonio.losses.table import Row, get, names, names_code, row

__all__ = ["Row", "get", "names", "names_code", "row"]
