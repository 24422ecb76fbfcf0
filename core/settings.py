"""Every knob, in one place: environment variables ``YUAN_*`` or a ``.env`` file at the project's root."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """The application's settings; the description of each field is its documentation."""

    model_config = SettingsConfigDict(env_prefix="YUAN_", env_file=ROOT / ".env", extra="ignore")

    data_dir: Path = Field(ROOT / "var", description="Where models, knowledge bases, runs and chats are kept.")
    model: str = Field("", description="Catalog name of the model that answers; empty: the best one that is here.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:1, mps: where models are put.",
    )
    language: Literal["auto", "zh", "en"] = Field("auto", description="First language; auto: the browser's.")
    password: SecretStr = Field(SecretStr(""), description="When set, the app asks for it before anything else.")
    hf_endpoint: str = Field("", description="Address of a Hugging Face mirror; empty: the client's own default.")
    hf_token: SecretStr = Field(SecretStr(""), description="Access token for gated or private models there.")
    modelscope_endpoint: str = Field("", description="Address of a ModelScope mirror; empty: the client's own default.")
    modelscope_token: SecretStr = Field(SecretStr(""), description="Access token for private models there.")
    offline: bool = Field(False, description="Nothing is downloaded: only what is on disk is used.")
    chroma_url: str = Field("", description="Address of a Chroma server; empty: the store is embedded in the app.")
    max_upload_rows: int = Field(100_000, ge=1, description="Rows accepted from one uploaded data set.")
    max_document_mb: int = Field(100, ge=1, description="MB of a document at most; a zip may hold ten times that.")

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"

    @property
    def downloads_dir(self) -> Path:
        return self.data_dir / "downloads"

    @property
    def kb_dir(self) -> Path:
        return self.data_dir / "kb"

    @property
    def runs_dir(self) -> Path:
        return self.data_dir / "runs"

    @property
    def experiments_dir(self) -> Path:
        return self.data_dir / "experiments"

    @property
    def chats_dir(self) -> Path:
        return self.data_dir / "chats"

    @property
    def prompts_dir(self) -> Path:
        return self.data_dir / "prompts"

    @property
    def uploads_dir(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def knowledge_dir(self) -> Path:
        return ROOT / "knowledge"

    @property
    def adapters_dir(self) -> Path:
        return ROOT / "assets" / "adapters"

    @property
    def datasets_dir(self) -> Path:
        return ROOT / "assets" / "datasets"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once (tests call ``settings.cache_clear()``).

    Raises:
        UserError: a value that cannot be, or a file where the data directory should be.
    """
    try:
        loaded = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(map(str, first["loc"])).upper()
        raise UserError(
            "The setting YUAN_{name} = {value} cannot be: {why}.",
            "Change it in the environment or the file .env.",
            name=name.removeprefix("YUAN_"),
            value=first["input"],
            why=first["msg"],
        ) from error
    loaded.data_dir = loaded.data_dir.expanduser().resolve()
    if loaded.data_dir.is_file():
        raise UserError("YUAN_DATA_DIR is a file: {path}.", "Name a folder.", path=loaded.data_dir)
    return loaded
