"""Measures how responsive the page stays while a long answer streams into it.

    page.py [--tokens 20000] [--per-second 200] [--text essay|paragraph|code|list|…] [--slowdown 4]

Server and upstream are started as for run.py. The browser is the system's Chromium, headless and so
without a graphics card, and its page has a CPU that is slower by the factor `--slowdown`, as a
phone's is. `essay` is Markdown as models write it, with code, tables and formulas. The others are
one endless paragraph, block of code, list (`list`, `nested`, or `items` of one word), table, quote
or `<details>`: the worst cases, because the block is never finished.

The figures are of the tasks of the page's main thread: during a task nobody can scroll or type.
Elapsed time includes what the machine did for other processes meanwhile; CPU time does not.
"""

import argparse
import asyncio
import json
import os
import shutil

from playwright.async_api import async_playwright, expect
from servers import started_servers

# The page itself reports the end, because polling it from outside would disturb the measurement.
_ENDED = """() => new Promise((resolve) => {
  new MutationObserver(() => {
    if (document.querySelector("article.answer[data-status=complete]")) resolve();
  }).observe(document.body, { subtree: true, attributeFilter: ["data-status"] });
})"""

# The upstream's name of each text.
_CONTAINERS = ["list", "items", "nested", "table", "quote", "details"]
_KINDS = {"essay": "essay", "paragraph": "paced", "code": "code"} | {k: k for k in _CONTAINERS}


async def main() -> None:
    """Ask a question, wait for the answer's end, and print what the browser traced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--per-second", type=int, default=200)
    parser.add_argument("--text", choices=_KINDS, default="essay")
    parser.add_argument("--slowdown", type=float, default=4)
    options = parser.parse_args()
    model = f"bench/{_KINDS[options.text]}-{options.tokens}-{1000 // options.per_second}"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with started_servers() as [server], async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=sandbox
        )
        page = await browser.new_page()
        url = f"http://127.0.0.1:{server.port}"
        created = await page.request.post(f"{url}/api/v1/conversations", data={"model": model})
        await page.goto(f"{url}/c/{(await created.json())['id']}")
        await expect(page.get_by_label("Model")).to_have_value(model)
        await page.locator(".composer textarea").fill("tell tag")
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Emulation.setCPUThrottlingRate", {"rate": options.slowdown})
        await browser.start_tracing(page=page, categories=["toplevel"])
        await page.keyboard.press("Enter")
        async with asyncio.timeout(60 + 2 * options.tokens / options.per_second):
            await page.evaluate(_ENDED)
        elapsed, cpu = _tasks(json.loads(await browser.stop_tracing())["traceEvents"])
        chars = len(await page.locator("article.answer").last.text_content() or "")
        await browser.close()
    pace = f"{options.tokens} tokens of {options.text} at {options.per_second}/s"
    print(f"page: {pace}, {chars} characters shown, CPU slower by {options.slowdown:g}")
    print(f"  longest task, elapsed time   {elapsed[-1]:.0f} ms; {_over(elapsed)} over 200 ms")
    print(f"  longest task, CPU time       {cpu[-1]:.0f} ms; {_over(cpu)} over 200 ms")
    print(f"  main thread, CPU time        {sum(cpu) / 1000:.1f} s in total")


def _tasks(events: list[dict[str, object]]) -> tuple[list[float], list[float]]:
    """The elapsed and the CPU milliseconds of the main thread's tasks, each sorted."""
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and "CrRendererMain" in str(event["args"])
    }
    tasks = [
        event
        for event in events
        if event["name"] == "ThreadControllerImpl::RunTask"
        and (event["pid"], event["tid"]) in mains
    ]
    return tuple(sorted(float(str(t.get(n, 0))) / 1000 for t in tasks) for n in ("dur", "tdur"))


def _over(tasks: list[float]) -> int:
    return sum(task > 200 for task in tasks)


if __name__ == "__main__":
    asyncio.run(main())
