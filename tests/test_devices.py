"""The recorded devices: complete, attributed as AI Hub does, matched as a server does, and found when mistyped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.contract import CURRENT
from lpcv.errors import InputError
from lpcv.hub_jobs.devices import Device, matching, nearest, recorded

NAMES = [device.name for device in recorded()]


def named(name: str) -> Device:
    (device,) = matching(recorded(), name)
    return device


def test_the_record_is_whole_and_every_name_occurs_once() -> None:
    assert len(recorded()) == 48
    assert len(set(NAMES)) == len(NAMES)
    issue_wants = {"Samsung Galaxy S24", "Samsung Galaxy S24 (Family)", "Samsung Galaxy S23", "Samsung Galaxy S25"}
    assert issue_wants | {"Snapdragon 8 Elite QRD", "Snapdragon X Elite CRD", *CURRENT.devices} <= set(NAMES)


@pytest.mark.parametrize("device", recorded(), ids=lambda device: device.name)
def test_every_device_can_be_told_to_a_client(device: Device) -> None:
    keys = [attribute.split(":")[0] for attribute in device.attributes]
    assert all(attribute.count(":") == 1 for attribute in device.attributes)  # the client's command line splits on it
    assert {"abi", "chipset", "format", "framework", "os", "vendor"} <= set(keys)
    assert len(set(device.attributes)) == len(device.attributes)
    assert matching(recorded(), device.name, device.os_version, list(device.attributes), select=True) == [device]


def test_the_attributes_of_a_device_literally() -> None:
    # As a public repository recorded them from the service, but for htp-supports-weight-sharing, which is not kept.
    assert named("Snapdragon 8 Elite QRD").attributes == (
        "abi:aarch64-android", "chipset:qualcomm-snapdragon-8-elite", "chipset:sm8750", "format:phone",
        "framework:onnx", "framework:qnn", "framework:tflite", "hexagon:v79", "htp-supports-fp16:true", "os:android",
        "soc-model:69", "vendor:qualcomm",
    )  # fmt: skip


def test_the_contracts_device_is_an_s24() -> None:
    family, single = named("Samsung Galaxy S24 (Family)"), named("Samsung Galaxy S24")
    assert family.attributes == single.attributes
    assert (family.htp_arch, family.soc_model, family.htp_fp16, family.os_version) == ("v75", 57, True, "14")
    assert "vendor:samsung" in family.attributes


def test_what_is_not_recorded_is_not_claimed() -> None:
    pixel = named("Google Pixel 3")
    assert (pixel.htp_arch, pixel.soc_model, pixel.htp_fp16) == (None, None, None)
    assert not any(attribute.startswith(("hexagon", "soc-model", "htp-")) for attribute in pixel.attributes)
    assert "htp-supports-fp16:true" not in named("Samsung Galaxy S21").attributes  # known, and known to be false


def phone(name: str, version: str) -> Device:
    return Device(name, "Android", version, "Phone", "chip", (), None, None, None, ("tflite",))


LADDER = [phone("A", "9"), phone("B", "10"), phone("C", "12"), phone("D", "12.1"), phone("E", "13"), phone("C", "13")]


@pytest.mark.parametrize(
    ("os", "expected"),
    [
        ("", "ABCDEC"),
        ("12", "C"),
        ("[12,13)", "CD"),
        ("[12,)", "CDEC"),
        ("[,12)", "AB"),
        ("[,)", "ABCDEC"),
        ("[9,10)", "A"),  # as numbers: "9" is not above "10"
        ("14", ""),
    ],
)
def test_system_versions_and_right_open_intervals(os: str, expected: str) -> None:
    assert "".join(device.name for device in matching(LADDER, os=os)) == expected


@pytest.mark.parametrize("os", ["[12", "[12,13]", "[a,b)", "[12,13,14)", "[12)"])
def test_a_malformed_interval_is_a_sentence(os: str) -> None:
    with pytest.raises(InputError, match=r"interval|version"):
        matching(LADDER, os=os)


def test_names_are_exact_and_all_attributes_must_be_there() -> None:
    assert matching(recorded(), "samsung galaxy s24") == []
    eight_gen_3 = ["chipset:qualcomm-snapdragon-8gen3", "os:android"]
    assert {device.name for device in matching(recorded(), attributes=eight_gen_3)} == {
        "Samsung Galaxy S24", "Samsung Galaxy S24 (Family)", "Samsung Galaxy S24 Ultra", "Samsung Galaxy S24+",
    }  # fmt: skip
    assert matching(recorded(), attributes=[*eight_gen_3, "os:windows"]) == []


def test_select_takes_the_newest_system_only_and_one_device_at_most() -> None:
    assert matching(LADDER, "C", select=True) == [LADDER[5]]
    assert matching(LADDER, attributes=["os:android"], select=True) == [LADDER[4]]
    assert matching(LADDER, "Z", select=True) == []


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("galaxy s24", "Samsung Galaxy S24"),
        ("S24 family", "Samsung Galaxy S24 (Family)"),
        ("Samsung S24", "Samsung Galaxy S24"),
        ("s24 ultra", "Samsung Galaxy S24 Ultra"),
        ("s24ultra", "Samsung Galaxy S24 Ultra"),
        ("S24+", "Samsung Galaxy S24+"),
        ("Samsng Galxy S24", "Samsung Galaxy S24"),
        ("galaxys24", "Samsung Galaxy S24"),
        ("8 elite", "Snapdragon 8 Elite QRD"),
        ("x elite", "Snapdragon X Elite CRD"),
        ("qcs8550", "QCS8550 (Proxy)"),
    ],
)
def test_the_nearest_name_comes_first(typed: str, first: str) -> None:
    assert nearest(typed, NAMES)[0] == first


def test_another_number_is_another_device_but_its_series_is_offered() -> None:
    assert "Samsung Galaxy S23" not in nearest("galaxy s24", NAMES)
    assert set(nearest("Samsung Galaxy S22", ["Samsung Galaxy S21", "Google Pixel 4"])) == {"Samsung Galaxy S21"}


@pytest.mark.parametrize("typed", ["iPhone 15", "", "?!", "zzzz"])
def test_nothing_near_is_nothing(typed: str) -> None:
    assert nearest(typed, NAMES) == []


@given(st.text(max_size=30))
def test_only_known_names_each_once_and_few(typed: str) -> None:
    found = nearest(typed, NAMES)
    assert len(found) <= 4
    assert len(set(found)) == len(found)
    assert set(found) <= set(NAMES)


@given(st.sampled_from(NAMES))
def test_a_name_is_nearest_to_itself_in_any_case(name: str) -> None:
    assert nearest(name, NAMES)[0] == name
    assert nearest(name.upper(), NAMES)[0] == name
