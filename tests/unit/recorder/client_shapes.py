"""How apps ask models: a shape takes the URL of a server and a question, and returns what the model said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

KEY = "sk-test-0123456789abcdefghij"
Shape = Callable[[str, str], str]
CHAT = "/v1/chat/completions"


def _body(question: str, **more: Any) -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": "user", "content": question}], **more}


def _said(reply: Any) -> str:
    return str(reply["choices"][0]["message"]["content"])


def _joined(lines: Any) -> str:
    said = []
    for line in lines:
        text = line.decode() if isinstance(line, bytes) else line
        if text.startswith("data:") and "[DONE]" not in text:
            said += [choice["delta"].get("content") or "" for choice in json.loads(text[5:])["choices"]]
    return "".join(said)


def httpx_sync(url: str, question: str) -> str:
    import httpx

    with httpx.Client() as client:
        return _said(client.post(url + CHAT, json=_body(question)).json())


def httpx_async(url: str, question: str) -> str:
    import httpx

    async def ask() -> str:
        async with httpx.AsyncClient() as client:
            return _said((await client.post(url + CHAT, json=_body(question))).json())

    return asyncio.run(ask())


def httpx_stream(url: str, question: str) -> str:
    import httpx

    with (
        httpx.Client() as client,
        client.stream("POST", url + CHAT, json=_body(question, stream=True)) as reply,
    ):
        return _joined(reply.iter_lines())


def httpx_transport(url: str, question: str) -> str:
    import httpx

    request = httpx.Request("POST", url + CHAT, json=_body(question))
    with httpx.HTTPTransport() as transport:
        reply = transport.handle_request(request)
        return _said(json.loads(httpx.Response(200, headers=reply.headers, content=reply.read()).content))


def httpx_async_transport(url: str, question: str) -> str:
    import httpx

    async def ask() -> str:
        request = httpx.Request("POST", url + CHAT, json=_body(question, stream=True))
        async with httpx.AsyncHTTPTransport() as transport:
            reply = await transport.handle_async_request(request)
            return _joined((await reply.aread()).split(b"\n"))

    return asyncio.run(ask())


def openai_sync(url: str, question: str) -> str:
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        return client.chat.completions.create(**_body(question)).choices[0].message.content or ""


def openai_async(url: str, question: str) -> str:
    import openai

    async def ask() -> str:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            return (await client.chat.completions.create(**_body(question))).choices[0].message.content or ""

    return asyncio.run(ask())


def openai_stream(url: str, question: str) -> str:
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        chunks = client.chat.completions.create(**_body(question, stream=True))
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def openai_on_aiohttp(url: str, question: str) -> str:
    import openai

    async def ask() -> str:
        http = openai.DefaultAioHttpClient()
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, http_client=http) as client:
            return (await client.chat.completions.create(**_body(question))).choices[0].message.content or ""

    return asyncio.run(ask())


def anthropic_sync(url: str, question: str) -> str:
    import anthropic

    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        return client.messages.create(**_body(question, max_tokens=50)).content[0].text


def anthropic_stream(url: str, question: str) -> str:
    import anthropic

    with (
        anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0) as client,
        client.messages.stream(**_body(question, max_tokens=50)) as stream,
    ):
        return "".join(stream.text_stream)


def requests_sync(url: str, question: str) -> str:
    import requests

    return _said(requests.post(url + CHAT, json=_body(question), timeout=10).json())


def requests_stream(url: str, question: str) -> str:
    import requests

    with requests.post(url + CHAT, json=_body(question, stream=True), stream=True, timeout=10) as reply:
        return _joined(reply.iter_lines())


def urllib3_sync(url: str, question: str) -> str:
    import urllib3

    with urllib3.PoolManager() as pool:
        return _said(pool.request("POST", url + CHAT, json=_body(question)).json())


def urllib_sync(url: str, question: str) -> str:
    from urllib.request import Request, urlopen

    headers = {"content-type": "application/json"}
    with urlopen(Request(url + CHAT, json.dumps(_body(question)).encode(), headers), timeout=10) as reply:  # noqa: S310
        return _said(json.load(reply))


def http_client(url: str, question: str) -> str:
    from http.client import HTTPConnection

    connection = HTTPConnection(url.rpartition("//")[2], timeout=10)
    try:
        connection.request("POST", CHAT, json.dumps(_body(question)), {"content-type": "application/json"})
        return _said(json.loads(connection.getresponse().read()))
    finally:
        connection.close()


def aiohttp_async(url: str, question: str) -> str:
    import aiohttp

    async def ask() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url + CHAT, json=_body(question)) as reply,
        ):
            return _said(await reply.json())

    return asyncio.run(ask())


def aiohttp_stream(url: str, question: str) -> str:
    import aiohttp

    async def ask() -> str:
        body = _body(question, stream=True)
        async with aiohttp.ClientSession() as session, session.post(url + CHAT, json=body) as reply:
            return _joined([line async for line in reply.content])

    return asyncio.run(ask())


def gemini_sync(url: str, question: str) -> str:
    client = _gemini(url)
    return client.models.generate_content(model="gemini-x", contents=question).text or ""


def gemini_async(url: str, question: str) -> str:
    async def ask() -> str:
        client = _gemini(url)
        return (await client.aio.models.generate_content(model="gemini-x", contents=question)).text or ""

    return asyncio.run(ask())


def gemini_stream(url: str, question: str) -> str:
    client = _gemini(url)
    chunks = client.models.generate_content_stream(model="gemini-x", contents=question)
    return "".join(chunk.text or "" for chunk in chunks)


def _gemini(url: str) -> Any:
    from google import genai

    return genai.Client(api_key=KEY, http_options=genai.types.HttpOptions(base_url=url))


def bedrock_converse(url: str, question: str) -> str:
    reply = _bedrock(url).converse(modelId="anthropic.claude-x-v1:0", messages=_turns(question))
    return str(reply["output"]["message"]["content"][0]["text"])


def bedrock_converse_stream(url: str, question: str) -> str:
    reply = _bedrock(url).converse_stream(modelId="anthropic.claude-x-v1:0", messages=_turns(question))
    deltas = (event["contentBlockDelta"] for event in reply["stream"] if "contentBlockDelta" in event)
    return "".join(delta["delta"]["text"] for delta in deltas)


def bedrock_invoke(url: str, question: str) -> str:
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, **_body(question)})
    reply = _bedrock(url).invoke_model(modelId="anthropic.claude-x-v1:0", body=body)
    return str(json.loads(reply["body"].read())["content"][0]["text"])


def bedrock_invoke_stream(url: str, question: str) -> str:
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, **_body(question)})
    reply = _bedrock(url).invoke_model_with_response_stream(modelId="anthropic.claude-x-v1:0", body=body)
    events = (json.loads(event["chunk"]["bytes"]) for event in reply["body"])
    return "".join(event["delta"]["text"] for event in events if "delta" in event)


def _turns(question: str) -> list[Any]:
    return [{"role": "user", "content": [{"text": question}]}]


def _bedrock(url: str) -> Any:
    import boto3

    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def ollama_sync(url: str, question: str) -> str:
    import ollama

    client = ollama.Client(host=url)
    with closing(client._client):
        return client.chat(**_body(question)).message.content or ""


def ollama_stream(url: str, question: str) -> str:
    import ollama

    client = ollama.Client(host=url)
    with closing(client._client):
        return "".join(part.message.content or "" for part in client.chat(**_body(question), stream=True))


def cohere_sync(url: str, question: str) -> str:
    import cohere
    import httpx

    with httpx.Client() as http:
        client = cohere.ClientV2(api_key=KEY, base_url=url, httpx_client=http)
        return client.chat(**_body(question)).message.content[0].text


def cohere_stream(url: str, question: str) -> str:
    import cohere
    import httpx

    with httpx.Client() as http:
        client = cohere.ClientV2(api_key=KEY, base_url=url, httpx_client=http)
        events = client.chat_stream(**_body(question))
        return "".join(event.delta.message.content.text for event in events if event.type == "content-delta")


SHAPES: tuple[Shape, ...] = (
    *(httpx_sync, httpx_async, httpx_stream, httpx_transport, httpx_async_transport),
    *(openai_sync, openai_async, openai_stream, openai_on_aiohttp),
    *(
        anthropic_sync,
        anthropic_stream,
        requests_sync,
        requests_stream,
        urllib3_sync,
        urllib_sync,
        http_client,
    ),
    *(aiohttp_async, aiohttp_stream, gemini_sync, gemini_async, gemini_stream),
    *(bedrock_converse, bedrock_converse_stream, bedrock_invoke, bedrock_invoke_stream),
    *(ollama_sync, ollama_stream, cohere_sync, cohere_stream),
)
