"""A channel that keeps the events and asks to stop where a test wants it."""

from geoseg_engine.channel import Channel


class Recorder(Channel):
    """Keeps the events.

    Args:
        folder: of the job; made if needed.
        cancel_after_epochs: `cancelled` is true from the end of this epoch on …
        looks: … after it was asked so many times.
        stop_at: `cancelled` is true once a log line holds this text.
    """

    def __init__(self, folder, cancel_after_epochs=None, looks=0, stop_at=""):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        self.events = []
        self.cancel_after_epochs, self.looks, self.stop_at = cancel_after_epochs, looks, stop_at

    def send(self, event_type, /, **fields):
        super().send(event_type, **fields)
        self.events.append((event_type, fields))

    def of(self, event_type):
        """Fields of the events of a type."""
        return [fields for kind, fields in self.events if kind == event_type]

    @property
    def texts(self):
        """Lines of the log."""
        return [fields["text"] for fields in self.of("log")]

    def cancelled(self):
        if self.stop_at and any(self.stop_at in text for text in self.texts):
            return True
        if self.cancel_after_epochs is None or len(self.of("epoch")) < self.cancel_after_epochs:
            return False
        self.looks -= 1
        return self.looks < 0
