"""Settings: where they come from, and what is said of those that can't be used."""

from pathlib import Path

import pytest

from outdial.app.keys import make_key
from outdial.app.settings import Role, key_file, load, own_secret, strangers, table, withdraw_secret
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
        ("DATABASE", "sqlite:///o.db?mode=ro"),
        ("REPLAY_SECS", "nan"),
        ("REPLAY_SECS", "-1"),
        ("ROLE", "queen"),
        ("SIP_RTP_PORTS", "20000-10000"),
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


@pytest.mark.parametrize("variable", ["OUTDIAL_DATABASE", "OUTDIAL_PUBLIC_URL"])
def test_the_password_of_a_mistyped_url_is_not_told(variable: str) -> None:
    with pytest.raises(BadSetting, match=f"{variable}='postgress://…@h/d'") as wrong:
        load({variable: "postgress://me:pass/w@rd@h/d"})
    assert "rd@" not in str(wrong.value)


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


@pytest.mark.parametrize("wrong", ["a folder", "another file"])
def test_a_path_that_is_no_database_gets_no_key(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "o.db"
    path.mkdir() if wrong == "a folder" else path.write_text("shopping list: milk, bread, and a phone")
    with pytest.raises(BadSetting, match="can't be used"):
        make_key(load({"OUTDIAL_DATABASE": f"sqlite:///{path}"}), workspace="w", name="n")
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".key")] == []


def test_the_key_is_beside_the_database_also_where_its_name_is_quoted(tmp_path: Path) -> None:
    make_key(load({"OUTDIAL_DATABASE": f"sqlite:///{tmp_path}/two%20words.db"}), workspace="w", name="n")
    assert {"two words.db", "two words.db.key"} <= {one.name for one in tmp_path.iterdir()}


def test_a_key_stays_where_a_database_is(tmp_path: Path) -> None:
    settings = load({"OUTDIAL_DATABASE": f"sqlite:///{tmp_path}/o.db"})
    make_key(settings, workspace="w", name="n")
    kept = key_file(settings).read_text()
    withdraw_secret(settings)
    assert key_file(settings).read_text() == kept


def test_a_misspelt_setting_is_told_with_the_nearest_one() -> None:
    given = {"OUTDIAL_PORTT": "1", "OUTDIAL_RELAY_SECS": "", "OUTDIAL_ZZZZZZZZZZZZ": "1", "OUTDIAL_URL": "", "PORT": ""}
    assert strangers({**given, "OUTDIAL_PORT": "80"}) == [
        ("OUTDIAL_PORTT", "OUTDIAL_PORT"),
        ("OUTDIAL_RELAY_SECS", "OUTDIAL_REPLAY_SECS"),
        ("OUTDIAL_ZZZZZZZZZZZZ", ""),
    ]


def test_every_setting_is_documented() -> None:
    assert all(meaning for _, _, meaning in table())
    assert {"OUTDIAL_DATABASE", "OUTDIAL_STOP_SECS", "OUTDIAL_CARRIER_URL"} <= {name for name, _, _ in table()}
