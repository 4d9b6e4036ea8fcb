"""Every row of the table once more, sample by sample, in plain NumPy and math.

Written from the papers' equations (named in each row's docstring), not from gonio's rules: arccos
where gonio uses atan2, loops where it uses tensors. Good to about 1e-9 at ordinary inputs. State is
that of a fresh head outside training.

    name(x, w, b, y, **settings) -> loss        x (D,), w (C, D) or (C, K, D), b (C,), y a label

A row that needs more asks for it by keyword: `counts` (C,), the training samples of each class;
`batch`, all embeddings (B, D), all labels (B,) and which of them is this sample.
"""

from contract.golden.binary import *  # noqa: F403
from contract.golden.centers import *  # noqa: F403
from contract.golden.contrastive import *  # noqa: F403
from contract.golden.hard import *  # noqa: F403
from contract.golden.linear import *  # noqa: F403
from contract.golden.multiplicative import *  # noqa: F403
from contract.golden.normalised import *  # noqa: F403
from contract.golden.per_class import *  # noqa: F403
from contract.golden.per_sample import *  # noqa: F403
from contract.golden.proxies import *  # noqa: F403
from contract.golden.regularised import *  # noqa: F403
from contract.golden.survey import *  # noqa: F403
