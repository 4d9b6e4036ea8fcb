"""A module with a weight that an attached optimizer may leave behind."""

from typing import Any

from torch import nn

from gonio.optimizer_in_backward.attachment import Attachment


class Attachable(nn.Module):
    """Brings the weight up to date before it is saved, loaded or copied. A deep copy is not attached."""

    _attachment: Attachment | None = None

    @property
    def is_attached(self) -> bool:
        """Whether backward moves the weight."""
        return self._attachment is not None

    def detach_optimizer(self) -> None:
        """Leave the weight to `optimizer.step()` again."""
        if self._attachment is not None:
            self._attachment.release()
        self._attachment = None

    def catch_up(self) -> None:
        """Bring all rows of the weight up to date, with their momentum.

        Under `Sampled` and an attached SGD, classes that were not drawn lag behind. Wherever the head
        or the optimizer reads them, or makes a state_dict, they catch up by themselves. Call this
        before you read or write `weight` or the optimizer's state yourself. Otherwise it does nothing.

        Raises:
            RuntimeError: the weight was written while classes lagged behind.
        """
        if self._attachment is not None:
            self._attachment.catch_up()

    def _save_to_state_dict(self, *args: Any, **keywords: Any) -> None:
        self.catch_up()
        super()._save_to_state_dict(*args, **keywords)

    def _load_from_state_dict(self, *args: Any, **keywords: Any) -> None:
        self.catch_up()
        super()._load_from_state_dict(*args, **keywords)

    def __getstate__(self) -> object:
        self.catch_up()
        return self.__dict__
