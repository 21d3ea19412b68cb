from tests.docs.settings_page import PAGE, rendered


def test_the_page_of_settings_lists_each_of_them_as_it_is() -> None:
    page = PAGE.read_text()
    assert rendered(page) == page, "docs/settings.md is stale: run python -m tests.docs.settings_page"
