"""The plain head is read, whole and in order, whatever lies beside it in the study."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from drawn_studies import positions, series, slice_hu
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples
from pydicom.dataset import Dataset

from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.choice import REST_OF_BODY, WITH_CONTRAST
from hemodetect.imaging.study import Series, Study


@pytest.fixture
def study(limits, as_bytes) -> Callable[..., Study]:
    """Reads data sets as the uploads of one folder."""

    def read(*data_sets: Dataset) -> Study:
        files = [
            UploadedFile(f"scan/{number:04}", as_bytes(data_set))
            for number, data_set in enumerate(data_sets)
        ]
        return read_study(files, limits)

    return read


def heights(study: Study, index: int = 0) -> list[float]:
    return [round(s.geometry.position_mm, 2) for s in study.series[index].slices]


def counts(study: Study) -> list[tuple[int, str | None]]:
    return [(len(s.slices), s.set_aside) for s in study.series]


HEAD = positions()


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "seen in the pixels"])
def test_a_plain_head_is_read_beside_a_longer_angiography(study, ct, marked: bool) -> None:
    angiography = series(
        ct, 5, positions(-200, 150), vessels=True, ContrastBolusAgent="X" if marked else None
    )
    read = study(*angiography, *series(ct, 2, HEAD))
    assert heights(read) == HEAD
    assert counts(read)[1:] == [(35, WITH_CONTRAST), (36, REST_OF_BODY)]


def test_the_head_of_an_angiography_alone_is_read_and_that_is_said(study, ct) -> None:
    read = study(*series(ct, 5, positions(-200, 150), vessels=True))
    assert heights(read) == positions(-20, 150)
    assert counts(read) == [(35, None), (36, REST_OF_BODY)]
    assert "covers 355 mm; its upper 175 mm show the head and are read" in read.cautions[0]
    assert "slices 37 to 71 of 71" in read.cautions[0]


def test_a_head_that_begins_at_the_chin_is_not_parted(study, ct) -> None:
    read = study(*series(ct, 2, positions(-40, 150)))
    assert counts(read) == [(39, None)]
    assert read.cautions == ()


@pytest.mark.parametrize(
    "image_type",
    [
        ["DERIVED", "PRIMARY", "AXIAL", "IODINE"],
        ["DERIVED", "SECONDARY", "REFORMATTED"],
        ["DERIVED", "PRIMARY", "MPR"],
    ],
)
def test_a_computed_series_with_more_slices_is_not_read(study, ct, image_type) -> None:
    thin = series(ct, 5, positions(step=1), 1.0, ImageType=image_type)
    assert heights(study(*thin, *series(ct, 2, HEAD))) == HEAD


def test_thick_soft_and_thin_bone_under_one_number_are_two_series(study, ct) -> None:
    soft = series(ct, 2, HEAD)
    bone = series(
        ct, 3, positions(step=2.5), 2.5, noise=45, SeriesInstanceUID=soft[0].SeriesInstanceUID
    )
    for data_set in bone:
        data_set.InstanceNumber += len(soft)
    read = study(*soft, *bone)
    assert heights(read) == HEAD
    assert counts(read) == [(31, None), (61, "sharp kernel")]


ONE_NUMBER = "1.2.3.9"


@pytest.mark.parametrize(
    "difference",
    [
        {"ConvolutionKernel": "H60s"},
        {"thickness": 2.5},
        {"PixelSpacing": [2.9, 2.9]},
        {"ImagePositionPatient": "shifted"},
        {"AcquisitionNumber": 2},
        {"KVP": 80},
        {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]},
        {"numbers": 100},
    ],
    ids=lambda difference: next(iter(difference)),
)
@pytest.mark.parametrize("offset", [0.0, 0.02, 2.5], ids=["same", "a hair", "between"])
def test_a_difference_separates_two_stacks_under_one_number(study, ct, difference, offset) -> None:
    options = dict(difference)
    added, moved = options.pop("numbers", 0), options.pop("ImagePositionPatient", None)
    first = series(ct, 1, HEAD, SeriesInstanceUID=ONE_NUMBER, ConvolutionKernel="H30s",
                   AcquisitionNumber=1, KVP=120)  # fmt: skip
    same = {"ConvolutionKernel": "H30s", "AcquisitionNumber": 1, "KVP": 120}
    second = series(ct, 2, [z + offset for z in HEAD], SeriesInstanceUID=ONE_NUMBER,
                    **(same | options))  # fmt: skip
    for data_set in second:
        data_set.InstanceNumber += added
        if moved:
            data_set.ImagePositionPatient[0] += 30
    read = study(*first, *second)
    assert [len(s.slices) for s in read.series] == [31, 31]
    parts = sorted(heights(read, index) for index in (0, 1))
    assert parts == sorted([HEAD, [round(z + offset, 2) for z in HEAD]])


def test_parts_that_follow_one_another_are_one_series(study, ct) -> None:
    base = series(ct, 1, positions(0, 40, 2.5), 2.5, SeriesInstanceUID=ONE_NUMBER,
                  AcquisitionNumber=1)  # fmt: skip
    vault = series(ct, 2, positions(45, 150), SeriesInstanceUID=ONE_NUMBER, AcquisitionNumber=2)
    read = study(*vault, *base)
    assert counts(read) == [(39, None)]
    assert heights(read) == sorted(heights(read))


def test_a_scanner_that_counts_every_turn_has_one_series(study, ct) -> None:
    turns = series(ct, 1, HEAD)
    for index, data_set in enumerate(turns):
        data_set.AcquisitionNumber = index // 2
    assert counts(study(*turns)) == [(31, None)]


def test_odd_slices_scanned_first_and_even_ones_after_are_one_series(study, ct) -> None:
    slices = series(ct, 1, HEAD)
    for index, data_set in enumerate(slices):
        data_set.AcquisitionNumber = 1 + index % 2
        data_set.InstanceNumber = index // 2 + 16 * (index % 2)
    read = study(*slices)
    assert counts(read) == [(31, None)]
    assert heights(read) == HEAD


def test_directions_within_half_a_degree_are_one_series(study, ct) -> None:
    slices = series(ct, 1, HEAD)
    for index, data_set in enumerate(slices):
        sine = np.sin(np.radians(15 + 0.4 * (index % 3) / 2))
        cosine = float(np.sqrt(1 - sine**2))
        data_set.ImageOrientationPatient = [1, 0, 0, 0, cosine, -float(sine)]
    assert counts(study(*slices)) == [(31, None)]
    for data_set in slices[::2]:
        data_set.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    assert len(study(*slices).series) == 2


def test_different_patient_numbers_in_one_series_are_one_series_with_a_caution(study, ct) -> None:
    slices = series(ct, 1, HEAD)
    for index, data_set in enumerate(slices):
        data_set.PatientID = f"anonymous {index % 4}"
    read = study(*slices)
    assert counts(read) == [(31, None)]
    assert "different patient numbers" in read.cautions[0]


def test_slice_location_orders_slices_without_a_position(study, ct) -> None:
    slices = series(ct, 1, HEAD)
    order = list(range(31))
    random.Random(2).shuffle(order)
    for number, z in zip(order, HEAD, strict=True):
        data_set = slices[HEAD.index(z)]
        data_set.InstanceNumber = number
        data_set.SliceLocation = z
        del data_set.ImagePositionPatient
    read = study(*slices)
    np.testing.assert_array_equal(
        [s.values for s in read.slices], [slice_hu(z, seed=1) for z in HEAD]
    )


def test_a_part_of_the_head_and_a_slab_scanned_again_and_again_say_so(study, ct) -> None:
    slab = series(ct, 1, positions(50, 85))
    assert "covers 40 mm; a head takes about 150 mm" in study(*slab).cautions[0]
    again = [
        data_set
        for time in range(6)
        for data_set in series(
            ct, 10 + time, positions(50, 85), SeriesInstanceUID=ONE_NUMBER, AcquisitionNumber=time
        )
    ]
    read = study(*again)
    assert [len(s.slices) for s in read.series] == 6 * [8]
    assert "covers 40 mm, 6 times" in read.cautions[0]
    assert heights(study(*again, *series(ct, 2, HEAD))) == HEAD


# However the same files are packed, named and ordered, the same slices are read in the same order.


def packed(files: dict[str, bytes], way: str, folder: Path) -> Path | list[UploadedFile]:
    if way == "uploads":
        return [UploadedFile(name, data) for name, data in files.items()]
    if way == "folder":
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    if way == "uploaded zip":
        return [UploadedFile("study.zip", buffer.getvalue())]
    (folder / "study.zip").write_bytes(buffer.getvalue())
    return folder / "study.zip"


def _digest(one: Series) -> str:
    """Hash of all pixels, in order."""
    return sha256(b"".join(s.values.tobytes() for s in one.slices)).hexdigest()[:16]


class Remembered(dict[str, object]):
    """What examples share. Hypothesis would print every byte of a plain dictionary."""

    def __repr__(self) -> str:
        return "..."


@pytest.fixture(scope="module")
def stored() -> Remembered:
    return Remembered()


@pytest.mark.long
@examples(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=strategies.randoms(use_true_random=False),
    way=strategies.sampled_from(["uploads", "folder", "zip", "uploaded zip"]),
    flat=strategies.booleans(),
    names=strategies.sampled_from(["numbers", "random", "IM{}", "{}.dcm"]),
)
def test_packing_naming_and_order_of_files_change_nothing(
    order, way, flat, names, ct, as_bytes, limits, tmp_path_factory, stored
) -> None:
    if not stored:
        data_sets = [
            *series(ct, 2, positions(0, 150, 30), 30, SeriesInstanceUID=ONE_NUMBER),
            *series(ct, 3, positions(0, 150, 15), 15, noise=45, SeriesInstanceUID=ONE_NUMBER),
            *series(ct, 4, positions(-120, 150, 30), 30, vessels=True),
            *series(ct, 6, [30.0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        ]
        stored["files"] = [as_bytes(data_set) for data_set in data_sets]
    files = [*stored["files"]]
    order.shuffle(files)
    pattern = {"numbers": "{}", "random": None}.get(names, names)
    files_by_name = {}
    for number, data in enumerate(files):
        name = pattern.format(number) if pattern else f"{order.getrandbits(48):012x}x{number}"
        files_by_name[name if flat else f"series {number % 3}/{name}"] = data
    study = read_study(packed(files_by_name, way, tmp_path_factory.mktemp("packed")), limits)
    read = [(one.description, one.set_aside, one.id, _digest(one)) for one in study.series]
    assert (study.id, read) == stored.setdefault("first", (study.id, read))
    assert heights(study) == positions(0, 150, 30)


def test_slices_without_position_and_number_say_that_their_order_is_not_known(study, ct) -> None:
    slices = series(ct, 1, HEAD[:12])
    for data_set in slices:
        del data_set.ImagePositionPatient
        del data_set.InstanceNumber
    read = study(*slices)
    assert not read.series[0].is_ordered
    assert "do not tell the order" in " ".join(read.cautions)
