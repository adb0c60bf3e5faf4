"""Settings: where they come from, and what is said of those that can't be used."""

from pathlib import Path

import pytest

from outdial.app.settings import Role, load, own_secret, table
from outdial.domain.errors import BadSetting

POSTGRES = {"OUTDIAL_DATABASE": "postgresql://u:p@h/d"}


def test_defaults_need_nothing() -> None:
    settings = load({})
    assert (settings.database, settings.host, settings.port) == ("sqlite:///outdial.db", "127.0.0.1", 8080)
    assert (settings.role, settings.replay_secs, settings.workspace_concurrency) == (Role.ALL, 10.0, 100)


def test_a_flag_wins_over_the_environment_and_an_empty_variable_is_none() -> None:
    assert load({"OUTDIAL_PORT": "1"}, port=2).port == 2
    assert load({"OUTDIAL_PORT": "1"}, port=None).port == 1
    assert load({"OUTDIAL_PORT": ""}).port == 8080


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8o80"),
        ("DATABASE", "mysql://x"),
        ("DATABASE", "sqlite:///"),
        ("REPLAY_SECS", "nan"),
        ("REPLAY_SECS", "-1"),
        ("ROLE", "queen"),
        ("PUBLIC_URL", "calls.example.org"),
        ("PUBLIC_URL", "http://x:99999"),
        ("NODE", "a b"),
        ("WORKSPACE_CONCURRENCY", "0"),
        ("CARRIER_RING_SECS", "soon"),
        ("LOG_STYLE", "loud"),
        ("API_KEY", "nineteen characters"),
        ("SECRET_KEY", "thirty-one characters are short"),
    ],
)
def test_what_can_t_be_used_is_told_by_name_with_what_would_do(name: str, value: str) -> None:
    with pytest.raises(BadSetting) as wrong:
        load({f"OUTDIAL_{name}": value})
    assert f"OUTDIAL_{name}" in str(wrong.value)
    assert "it is " in str(wrong.value)
    assert (value in str(wrong.value)) == (name not in {"API_KEY", "SECRET_KEY"}), "secrets are not repeated"


def test_secrets_are_not_in_the_settings_repr() -> None:
    settings = load({"OUTDIAL_API_KEY": "k" * 20, "OUTDIAL_SECRET_KEY": "s" * 32})
    assert "kkkk" not in repr(settings)
    assert "ssss" not in repr(settings)


def test_roles_need_postgresql_and_a_public_url() -> None:
    with pytest.raises(BadSetting, match="PostgreSQL"):
        load({"OUTDIAL_ROLE": "dialer"})
    with pytest.raises(BadSetting, match="OUTDIAL_PUBLIC_URL"):
        load({**POSTGRES, "OUTDIAL_ROLE": "dialer"})
    assert load({**POSTGRES, "OUTDIAL_ROLE": "api", "OUTDIAL_PUBLIC_URL": "https://x/"}).public_url == "https://x"


def test_postgresql_needs_the_same_secret_on_every_node() -> None:
    with pytest.raises(BadSetting, match="OUTDIAL_SECRET_KEY"):
        own_secret(load(POSTGRES))


def test_the_secret_beside_sqlite_is_made_once(tmp_path: Path) -> None:
    settings = load({"OUTDIAL_DATABASE": f"sqlite:///{tmp_path}/new/o.db"})
    first = own_secret(settings)
    assert len(first) >= 32
    assert own_secret(settings) == first
    kept = tmp_path / "new" / "o.db.key"
    kept.write_text("cut")
    with pytest.raises(BadSetting, match="restore it"):
        own_secret(settings)


def test_every_setting_is_documented() -> None:
    assert all(meaning for _, _, meaning in table())
    assert {"OUTDIAL_DATABASE", "OUTDIAL_STOP_SECS", "OUTDIAL_CARRIER_URL"} <= {name for name, _, _ in table()}
