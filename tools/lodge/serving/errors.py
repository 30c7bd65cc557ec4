"""What goes wrong: at the start, in a line; of a request, in OpenAI's error shape."""

from starlette.responses import JSONResponse


class InputError(Exception):
    """Something from outside is wrong; printed as one line, with a hint where there is one."""

    def __init__(self, message, hint=None):
        super().__init__(message)
        self.hint = hint


class Refusal(Exception):
    """An answer that is an error; says nothing of prompts, answers or keys."""

    def __init__(self, status, message, kind="invalid_request_error", code=None, parameter=None,
                 headers=None):
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": kind, "param": parameter, "code": code}}
        self.headers = headers or {}

    def response(self):
        return JSONResponse(self.body, self.status, self.headers)


def wrong(message, parameter=None, code=None):
    """A request that cannot be right, whatever the parties do."""
    return Refusal(400, message, parameter=parameter, code=code)
