"""`lpcv devices`, `lpcv doctor`, `lpcv hub`: what is there, whether all is well, and a stand-in of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import FILE, hub_option

if TYPE_CHECKING:
    from .answers import HubDevice


@click.command()
@click.argument("query", default="")
@click.option("--json", "json_file", type=FILE, help="Write them as JSON.")
@hub_option
def devices(query: str, json_file: Path | None, hub: str | None) -> None:
    """List AI Hub's devices whose name holds QUERY, and what each can do.

    \b
    lpcv devices "Galaxy S24"
    lpcv devices --hub local --json devices.json
    """
    from ..console import next_step, table
    from ..errors import UnknownNameError
    from ..files import write_json
    from ..hub_folder import HubFolder
    from .client import HubClient
    from .connection import connected
    from .devices import nearest
    from .ending import at

    with connected(hub, HubFolder().stand_in) as connection, HubClient(connection) as opened:
        opened.probe()
        every = opened.devices()
    found = [device for device in every if query.casefold() in device.name.casefold()]
    if not found:
        names = [device.name for device in every]
        raise UnknownNameError("device whose name holds", query, nearest(query, names) or names)
    columns = ("name", "system", "chipset", "NPU", "soc-model", "fp16 on the NPU", "frameworks")
    table(f"Devices of {connection.called}", columns, map(_row, found))
    if json_file:
        write_json(json_file, [vars(device) for device in found])
    next_step(f'lpcv compile RUN --device "{found[0].name}"{at(hub)}')


@click.command()
@click.option("--device", help="A device to resolve; default: the contract's.")
@click.option("--json", "json_file", type=FILE, help="Write the findings as JSON.")
@hub_option
def doctor(device: str | None, json_file: Path | None, hub: str | None) -> None:
    """Is everything here for AI Hub? Exit code 1 if something is not.

    \b
    lpcv doctor
    lpcv doctor --hub local --device "Samsung Galaxy S24"
    Names Python, torch, the client, its configuration and whether it has a token (never the token), whether the server
    answers, the device, and the disk.
    """
    from ..console import next_step, table
    from ..files import write_json
    from ..hub_folder import HubFolder
    from .doctor import examine
    from .ending import at

    findings = examine(hub, HubFolder(), device)
    table("lpcv doctor", ("what", "state", "found", "remedy"), [finding.row for finding in findings])
    if json_file:
        write_json(json_file, [vars(finding) for finding in findings])
    if any(finding.state == "fail" for finding in findings):
        next_step(f"lpcv doctor{at(hub)}, when what failed is mended")
        raise click.exceptions.Exit(1)
    next_step(f"lpcv compile RUN --device NAME{at(hub)}")


@click.group()
def hub() -> None:
    """The stand-in for AI Hub: rehearse without an account, with the unmodified client.

    \b
    lpcv hub serve --root stand-in
    """


@hub.command()
@click.option("--root", type=FILE, required=True, help="Everything that it keeps lies in this folder.")
@click.option("--port", type=click.IntRange(0, 65535), help="On 127.0.0.1; default: the last one, or a free one.")
def serve(root: Path, port: int | None) -> None:
    """Serve a stand-in on this machine until Ctrl-C; typed again, it goes on with what it had.

    \b
    lpcv hub serve --root stand-in
    QAIHUB_CLIENT_INI=stand-in/client.ini python any_script_of_yours.py
    It writes ROOT/client.ini, which sends any script here. Jobs run on this CPU: their numbers say nothing of a device.
    """
    from .stand_in.serve import serve as run

    run(root, port)


def _row(device: HubDevice) -> tuple[str, ...]:
    return (
        device.name,
        f"{_said(device, 'os')} {device.os}".strip(),
        _said(device, "chipset").removeprefix("qualcomm-"),
        _said(device, "hexagon"),
        _said(device, "soc-model"),
        "yes" if _said(device, "htp-supports-fp16") == "true" else "not said",
        _said(device, "framework"),
    )


def _said(device: HubDevice, name: str) -> str:
    """What the device's attributes say of that name: the chipset's first one, all of the frameworks."""
    said = [value for key, _, value in (each.partition(":") for each in device.attributes) if key == name]
    return ", ".join(sorted(said)) if name == "framework" else said[0] if said else ""
