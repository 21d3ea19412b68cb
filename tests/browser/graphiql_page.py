"""What a person does with GraphiQL, as methods."""

import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

WAIT_SECONDS = 60

T = TypeVar("T")


class GraphiQLPage:
    """GraphiQL in a browser; waits end with an error after `WAIT_SECONDS`."""

    def __init__(self, browser: Chrome, origin: str) -> None:
        self.browser = browser
        self.origin = origin

    def open(self) -> None:
        """Open the page and wait until its editors and the schema are there."""
        self.browser.get(f"{self.origin}/graphiql")
        self._until(lambda: len(self._models()) == 4)
        self._until(lambda: not self.browser.find_elements(By.CSS_SELECTOR, ".graphiql-spinner"))

    def tabs(self) -> list[str]:
        """The titles of the tabs, left to right."""
        return [tab.text for tab in self.browser.find_elements(By.CSS_SELECTOR, ".graphiql-tab-button")]

    def go_to(self, title: str) -> None:
        """Click the tab with this title."""
        tabs = self.browser.find_elements(By.CSS_SELECTOR, ".graphiql-tab-button")
        next(tab for tab in tabs if tab.text == title).click()
        self._until(lambda: title in self.operation())

    def go_to_and_run(self, title: str) -> None:
        """Click the tab with this title and the play button, with no time between the two."""
        script = """
            const tabs = [...document.querySelectorAll('.graphiql-tab-button')];
            tabs.find(tab => tab.textContent === arguments[0]).click();
            document.querySelector('.graphiql-execute-button').click();
        """
        self.browser.execute_script(script, title)

    def write_and_run(self, operation: str) -> None:
        """Put a text into the operation editor and click the play button, with no time between the two."""
        script = """
            const models = __MONACO.editor.getModels();
            models.find(model => model.uri.path.endsWith('operation.graphql')).setValue(arguments[0]);
            document.querySelector('.graphiql-execute-button').click();
        """
        self.browser.execute_script(script, operation)

    def operation(self) -> str:
        """The text of the operation editor."""
        return self._text("operation.graphql")

    def variables(self) -> str:
        """The text of the variables editor."""
        return self._text("variables.json")

    def fill_in(self, value: str) -> None:
        """Put an id where the variables ask for one."""
        before, _, rest = self.variables().partition('"PASTE ')
        assert rest, f"nothing to fill in: {before}"
        _, _, after = rest.partition('"')
        self._call_model("variables.json", "setValue", f'{before}"{value}"{after}')

    def run(self) -> None:
        """Press the play button."""
        self.browser.find_element(By.CSS_SELECTOR, ".graphiql-execute-button").click()

    def answer(self, accept: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """Wait until the response pane shows an answer that `accept` takes."""

        def accepted() -> dict[str, Any] | None:
            text = self._text("response.json")
            shown: dict[str, Any] | None = json.loads(text) if text else None
            return shown if shown is not None and accept(shown) else None

        answer = self._until(accepted)
        assert answer is not None
        return answer

    def visible_answer(self) -> str:
        """What the response pane shows on the screen."""
        lines = self.browser.find_element(By.CSS_SELECTOR, ".result-window .view-lines")
        return lines.text.replace("\u00a0", " ")

    def show_documentation(self) -> str:
        """Open the documentation explorer and return its text."""
        self.browser.find_element(By.CSS_SELECTOR, '[aria-label="Show Documentation Explorer"]').click()
        explorer = self._until(lambda: self.browser.find_element(By.CSS_SELECTOR, ".graphiql-doc-explorer"))
        return explorer.text

    def fetch(self, url: str) -> str:
        """Have the page's own script ask for a URL: "answered" or "refused"."""
        script = "return fetch(arguments[0]).then(() => 'answered', () => 'refused')"
        return str(self.browser.execute_script(script, url))

    def requested_origins(self) -> set[str]:
        """Where the page and its workers have sent anything since this was last asked."""
        urls = []
        for entry in self.browser.get_log("performance"):  # type: ignore[no-untyped-call]  # selenium's own gap
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(message["params"]["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                urls.append(message["params"]["url"])
        parts = [urlsplit(url) for url in urls]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme not in {"data", "chrome"}}

    def complaints(self) -> list[str]:
        """Errors on the console, refusals by the content security policy among them."""
        entries = self.browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own gap
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def _until(self, condition: Callable[[], T]) -> T:
        return WebDriverWait(self.browser, WAIT_SECONDS, poll_frequency=0.05).until(lambda _: condition())

    def _models(self) -> list[str]:
        """Names of Monaco's text models; GraphiQL leaves Monaco where a page can reach it."""
        script = "return (window.__MONACO?.editor.getModels() ?? []).map(model => model.uri.path)"
        return list(self.browser.execute_script(script))

    def _text(self, model: str) -> str:
        return str(self._call_model(model, "getValue"))

    def _call_model(self, model: str, method: str, *arguments: str) -> object:
        script = """
            const [name, method, ...rest] = arguments;
            const model = __MONACO.editor.getModels().find(model => model.uri.path.endsWith(name));
            return model[method](...rest);
        """
        return self.browser.execute_script(script, model, method, *arguments)
