"""Why a service gave nothing."""


class LlmUnavailable(Exception):
    """The LLM gave no usable reply; `reason` is stable and machine-readable, `message` is for people.

    Reasons: `not_configured`, `misconfigured`, `unauthorized`, `quota_exceeded`, `rate_limited`,
    `server_error`, `timeout`, `unreachable`, `rejected`, `malformed`, `invalid_reply`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
