"""What a head keeps beside its weight: made, begun anew, cast, committed, and told in checkpoints."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gonio.head.fingerprint import Fingerprint
from gonio.loss import Loss
from gonio.rules.facts import AtLabels, Change
from gonio.rules.number import is_scheduled
from gonio.rules.state import Sizes, State, Stateful, parts, states


class KeepsState(nn.Module):
    """A module with the learned numbers and running statistics of a loss.

    Statistics stay float32 or wider whatever the module is cast to.
    """

    _sizes: Sizes
    _class_weight: Tensor | None
    _states: dict[str, State] = {}  # noqa: RUF012
    _is_scheduled: bool
    _reads_step: bool
    _sees_batch: bool
    _fingerprint: Fingerprint

    def _make(self, loss: Loss, new: dict[str, Any]) -> None:
        """Room for what a loss keeps, in the place of the statistics of before."""
        before, self._states = self._states, states(loss, self._sizes)
        self._is_scheduled = is_scheduled(loss)
        stateful = [part for part in parts(loss) if isinstance(part, Stateful)]
        self._reads_step = self._is_scheduled or any(part.reads_step for part in stateful)
        self._sees_batch = loss.is_batchwise or any(part.sees_batch for part in stateful)
        self._fingerprint = Fingerprint.of(loss, self._states, self._class_weight)
        for name, state in before.items():
            if not state.is_learned:
                delattr(self, name)
        for name, state in self._states.items():
            if name in self._parameters:
                continue
            kind = state.dtype(new["dtype"] or torch.get_default_dtype())
            tensor = torch.empty(state.shape, device=new["device"], dtype=kind)
            if state.is_learned:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)

    @torch.no_grad()
    def _begin(self, *, learned: bool = True) -> None:
        """Write the first values of the statistics, and of what is learned."""
        for name, state in self._states.items():
            if learned or not state.is_learned:
                state.fill(getattr(self, name))

    @property
    def _kept(self) -> dict[str, Tensor]:
        """What the loss learns or remembers, by name."""
        return {name: getattr(self, name) for name in self._states}

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def _commit(self, changes: Mapping[str, Change]) -> None:
        """Write what a batch makes of the states: the one place where they change."""
        for name, change in changes.items():
            tensor = getattr(self, name)
            if isinstance(change, AtLabels):
                tensor.index_add_(0, change.labels, change.values.to(tensor.dtype))
            else:
                tensor.copy_(change)

    def _apply(self, fn: Any, recurse: bool = True) -> "KeepsState":
        before = {name: value for name, value in self._buffers.items() if value is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, old in before.items():
            new = self._buffers[name]
            assert new is not None, "a buffer stays one"
            wide = torch.promote_types(new.dtype, torch.float32)
            if new.is_floating_point() and new.dtype != wide:
                self._buffers[name] = old.to(new.device, wide) if not old.is_meta else new.to(wide)
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + KEY] = self._fingerprint.as_tensor()

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        given = state_dict.pop(prefix + KEY, None)
        if (
            given is not None
        ):  # torch refuses unexpected keys where it is strict, and else returns them
            differences = self._fingerprint.differences(Fingerprint.from_tensor(given))
            unexpected_keys += [f"{prefix}{KEY} ({difference})" for difference in differences]
        lists = missing_keys, unexpected_keys, error_msgs
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *lists)


KEY = "fingerprint"
"""Under which a state_dict has it."""
