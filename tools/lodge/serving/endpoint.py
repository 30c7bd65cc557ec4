"""The paths of the endpoint."""

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lodge.serving import questions
from lodge.serving.answers import ChatForm, CompletionForm, Embeddings, StreamedText, WholeText
from lodge.serving.asking import Asking, Places
from lodge.serving.conversations import Conversations
from lodge.serving.errors import Refusal

SECONDS_FOR_BODY = 30
READ_TIMES = 16


class Endpoint:
    """What is served, over `settings.command`, which begins every lodge-client."""

    def __init__(self, settings):
        self.settings = settings
        self.places = Places(settings.concurrent, settings.queue)
        self.conversations = Conversations(settings.conversations, settings.idle, settings.room)
        self.model = {
            "id": settings.model, "object": "model", "created": settings.created, "owned_by": "lodge"}

    def app(self):
        app = Starlette(
            routes=[
                Route("/health", health),
                Route("/v1/models", self.models),
                Route("/v1/models/{name:path}", self.one_model),
                Route("/v1/completions", self.completions, methods=["POST"]),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            ],
            exception_handlers={
                Refusal: refused, HTTPException: not_routed, ClientDisconnect: left},
        )
        app.router.redirect_slashes = False
        return app

    async def models(self, request):
        return JSONResponse({"object": "list", "data": [self.model]})

    async def one_model(self, request):
        if request.path_params["name"] != self.settings.model:
            raise Refusal(404, f"the model here is {self.settings.model}", code="model_not_found")
        return JSONResponse(self.model)

    async def completions(self, request):
        question = questions.completion(await self.body(request), self.settings)
        return self.text(request, question, CompletionForm(question, self.settings.model))

    async def chat(self, request):
        question = questions.chat(await self.body(request), self.settings)
        return self.text(request, question, ChatForm(question, self.settings.model))

    async def embeddings(self, request):
        question = questions.embedding(await self.body(request), self.settings)
        return Embeddings(self.asking(request, question), self.settings.model)

    def text(self, request, question, form):
        kind = StreamedText if question.streams else WholeText
        return kind(self.asking(request, question), form)

    def asking(self, request, question):
        return Asking(
            self.settings.command, self.places, self.conversations, question,
            request.scope["lodge.record"])

    async def body(self, request):
        """The JSON of a request, which must come soon and be short."""
        limit = self.settings.body_bytes
        announced = request.headers.get("content-length", "0")
        close = {"connection": "close"}
        content = bytearray()
        count = 0
        try:
            async with asyncio.timeout(SECONDS_FOR_BODY):
                # What is somewhat too long is read, so that its sender reads why it is refused.
                if int(announced) <= READ_TIMES * limit:
                    async for part in request.stream():
                        count += len(part)
                        if count > READ_TIMES * limit:
                            break
                        if count <= limit:
                            content += part
                    else:
                        if count <= limit:
                            return questions.read_json(bytes(content))
        except TimeoutError:
            raise Refusal(408, f"the body did not come in {SECONDS_FOR_BODY} s", headers=close) from None
        raise Refusal(413, f"the body has more than {limit} bytes", headers=close)


async def health(request):
    return JSONResponse({"status": "ok"})


async def refused(request, refusal):
    return refusal.response()


async def not_routed(request, error):
    names = {404: "there is nothing here", 405: "this path takes another method"}
    message = names.get(error.status_code, "is not possible")
    headers = dict(error.headers or {})
    return Refusal(error.status_code, message, headers=headers).response()


async def left(request, error):
    request.scope["lodge.record"].has_left = True
    return Response(status_code=499)
