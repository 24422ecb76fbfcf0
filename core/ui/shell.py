"""What every page has around it: language, access gate, navigation, header."""

import hmac

import streamlit as st

from core.settings import ROOT, settings
from core.ui import theme
from core.ui.i18n import LANGUAGES, choose_language, t

# name → (file, icon); the overview is the root, every other page's address is its file's name.
PAGES = {
    "overview": ("overview.py", ":material/grid_view:"),
    "chat": ("chat.py", ":material/forum:"),
    "prompts": ("prompts.py", ":material/edit_note:"),
    "knowledge": ("knowledge.py", ":material/menu_book:"),
    "finetune": ("train.py", ":material/tune:"),
    "comparison": ("compare.py", ":material/balance:"),
    "models": ("models.py", ":material/deployed_code:"),
}


def open_visit() -> None:
    """Language, look and access gate; stops the script while the password is owed."""
    st.session_state["entered"] = True
    choose_language()
    theme.inject()
    st.logo(str(ROOT / "assets" / "wordmark.svg"), icon_image=str(ROOT / "assets" / "logo.svg"), size="large")
    _gate()
    with st.sidebar:
        _language_switch()


def _gate() -> None:
    password = settings().password.get_secret_value()
    if not password or st.session_state.get("admitted"):
        return
    # Without it Streamlit forgets which page the address asked for, and goes on with the overview.
    st.navigation(pages(), position="hidden")
    st.title("Yuan Lab 源实验室")
    given = st.text_input(t("gate.password"), type="password", key="gate")
    if given and hmac.compare_digest(given.encode(), password.encode()):
        st.session_state["admitted"] = True
        st.rerun()
    if given:
        st.error(t("gate.wrong"), icon=":material/lock:")
    st.stop()


def _language_switch() -> None:
    def keep() -> None:
        st.session_state["language"] = st.session_state["language_choice"] or st.session_state["language"]
        st.query_params["lang"] = st.session_state["language"]

    st.session_state["language_choice"] = st.session_state["language"]
    st.segmented_control(
        t("common.language"),
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        key="language_choice",
        on_change=keep,
        label_visibility="collapsed",
    )


def pages() -> list:
    """The pages for the navigation, titled in the language of this visit."""
    return [
        st.Page(f"pages/{file}", title=t(f"nav.{name}"), icon=icon, default=name == "overview")
        for name, (file, icon) in PAGES.items()
    ]


def page_link(name: str, label: str) -> None:
    """A link to another page of the app."""
    file, icon = PAGES[name]
    st.page_link(f"pages/{file}", label=label, icon=icon)


def go(name: str, parameters: dict[str, str]) -> None:
    """Switch to another page, with parameters in its address."""
    st.switch_page(f"pages/{PAGES[name][0]}", query_params=parameters)


def enter(name: str) -> None:
    """Every page's first line: its title, and the one sentence that says what it is for.

    The first visit to a fresh server that asks for a page by its address makes Streamlit run that file without the
    entry point, so without the access gate: it still takes ``pages/`` for the old kind of multipage app, until
    ``st.navigation`` has been called once. Such a run ends here, before anything is shown, and starts properly.
    (An address that differs from the file's name does not help: it greets that visit with "Page not found".)
    """
    if not st.session_state.pop("entered", False):
        choose_language()
        st.navigation(pages(), position="hidden")
        st.rerun()
    if "lang" not in st.query_params and "language_choice" in st.session_state:
        browser = "zh" if (st.context.locale or "").lower().startswith("zh") else "en"
        if st.session_state["language"] != browser:
            st.query_params["lang"] = st.session_state["language"]
    st.title(t(f"{name}.title"))
    st.html(f'<p class="lead">{t(f"{name}.lead")}</p>')
