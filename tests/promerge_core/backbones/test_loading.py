"""Backbones against timm and the official DINO, and weights files of every kind."""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from promerge_core import BackboneError, load_backbone
from promerge_core.backbones.device import resolve_device, resolve_dtype
from promerge_core.backbones.vit import interpolate_dino_positions
from promerge_core.backbones.weights import read_state_dict
from promerge_core.registry import BACKBONES

DINO = {"dino_vits8": "vit_small_patch8_224.dino", "dino_vits16": "vit_small_patch16_224.dino"}
VITS = [
    "vit_tiny_patch16_224",
    "vit_small_patch14_reg4_dinov2.lvd142m",
    "vit_small_patch16_dinov3.lvd1689m",
]


@pytest.fixture(scope="module")
def weights_of(seed_weights):
    """Seeded weights of a timm model, by parameter."""

    def make(timm_name, **options):
        with torch.device("meta"):
            model = timm.create_model(timm_name, num_classes=0, **options)
        return seed_weights(model)

    return make


@pytest.fixture(scope="module")
def small(weights_of):
    """Seeded weights of DINO's ViT-S/16."""
    return weights_of(DINO["dino_vits16"])


@pytest.fixture(scope="module")
def small_file(small, tmp_path_factory):
    """The same as a .pth file."""
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(small, path)
    return path


@pytest.fixture
def pictures():
    """Three images of 96 x 96 pixels."""
    return np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)


def load_small(path):
    return load_backbone("dino_vits16", device="cpu", dtype="float32", weights=path)


# Features ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "timm_name", "arrays", "step"),
    [
        ("dino_vits8", "vit_small_patch8_224.dino", "vit_small8", 2),
        ("dino_vitb8", "vit_base_patch8_224.dino", "vit_base8", 12),
    ],
)
def test_keys_are_those_of_the_official_dino(
    shared_dir, tmp_path, weights_of, name, timm_name, arrays, step
):
    reference = np.load(shared_dir / "reference" / "vit" / "vit_features_seeded.npz")
    torch.save(weights_of(timm_name), tmp_path / "w.pth")
    backbone = load_backbone(name, "cpu", "float32", tmp_path / "w.pth")
    keys = backbone(backbone.normalise(reference["image_480"][None]))
    assert keys.shape == (1, backbone.dim, 60, 60)
    assert (keys.dtype, keys.requires_grad) == (torch.float32, False)
    expected = torch.from_numpy(reference[f"{arrays}_keys"]).float()
    assert torch.cosine_similarity(keys[0, ::step], expected, dim=0).min() > 0.9999
    norms = torch.from_numpy(reference[f"{arrays}_norm_per_patch"])
    assert torch.allclose(keys[0].norm(dim=0), norms, rtol=1e-3)


def last_keys(model, images):
    """Keys of a whole timm model's last block, as a hook on it sees them: [B, tokens, C]."""
    attention = model.blocks[-1].attn
    layer = attention.qkv if getattr(attention, "qkv", None) is not None else attention.k_proj
    seen = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        model.eval().forward_features(images)
    width = seen[0].shape[-1]
    return (
        seen[0] if layer.out_features == model.embed_dim else seen[0][..., width // 3 : -width // 3]
    )


@pytest.mark.parametrize("timm_name", VITS)
def test_keys_of_any_vit_are_those_of_the_whole_model(tmp_path, seed_weights, pictures, timm_name):
    whole = timm.create_model(timm_name, num_classes=0, dynamic_img_size=True)
    torch.save(seed_weights(whole), tmp_path / "weights.pth")
    backbone = load_backbone(f"timm:{timm_name}", "cpu", "float32", tmp_path / "weights.pth")
    size = 6 * backbone.patch_size
    images = backbone.normalise(pictures[:, :size, :size])
    keys = backbone(images)
    assert keys.shape == (3, whole.embed_dim, 6, 6) == (3, backbone.dim, 6, 6)
    expected = last_keys(whole, images)[:, whole.num_prefix_tokens :]
    assert torch.allclose(keys.flatten(2).transpose(1, 2), expected, atol=1e-4, rtol=1e-4)


def test_only_what_the_keys_need_is_computed(small_file):
    model = load_small(small_file).model
    assert sum(p.numel() for p in model.blocks[-1].parameters()) < 384 * 384 + 4 * 384
    assert isinstance(model.norm, torch.nn.Identity)


def test_a_batch_gives_what_its_images_give_alone(small_file, pictures):
    backbone = load_small(small_file)
    together = backbone(backbone.normalise(pictures))
    alone = torch.cat([backbone(backbone.normalise(picture[None])) for picture in pictures])
    assert torch.allclose(together, alone, atol=1e-5)


def test_any_size_may_follow_another(small_file):
    backbone = load_small(small_file)
    rng = np.random.default_rng(1)
    sizes = [96, 224, 64, 96]
    images = [rng.integers(0, 256, (1, size, size, 3), np.uint8) for size in sizes]
    fresh = [load_small(small_file)(backbone.normalise(image)) for image in images]
    for image, expected in zip(images, fresh, strict=True):
        assert torch.equal(backbone(backbone.normalise(image)), expected)


def test_grids_with_as_many_patches_but_other_sides_have_their_own_positions(small_file):
    backbone = load_small(small_file)
    wide = torch.zeros(1, 3, 64, 144)
    expected = load_small(small_file)(wide)
    backbone(torch.zeros(1, 3, 96, 96))
    assert torch.equal(backbone(wide), expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same_keys(small_file, pictures, dtype):
    exact = load_small(small_file)
    half = load_backbone("dino_vits16", "cpu", dtype, small_file)
    images = exact.normalise(pictures)
    found, expected = half(images), exact(images)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    assert torch.cosine_similarity(found, expected).min() > 0.99


def test_backbone_is_frozen(small_file):
    backbone = load_small(small_file)
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize("shape", [(1, 3, 90, 96), (1, 3, 96, 100)])
def test_sides_that_are_no_multiples_of_the_patch_are_refused(small_file, shape):
    with pytest.raises(ValueError, match="multiples of the patch size 16"):
        load_small(small_file)(torch.zeros(shape))


def test_positions_at_the_trained_size_are_the_trained_ones():
    positions = torch.randn(1, 1 + 14 * 14, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(interpolate_dino_positions(positions, 14, 14), positions)
    larger = interpolate_dino_positions(positions, 30, 20)
    assert larger.shape == (1, 1 + 30 * 20, 8)
    assert torch.equal(larger[:, 0], positions[:, 0])


# Normalisation -----------------------------------------------------------------------------------


def test_pixels_are_normalised_with_imagenets_numbers(pictures):
    backbone = load_backbone("embedded", "cpu")
    found = backbone.normalise(pictures)
    pixels = pictures.transpose(0, 3, 1, 2) / 255
    mean = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    assert found.dtype == torch.float32
    assert np.allclose(found, (pixels - mean) / std, atol=1e-5)
    turned = pictures.transpose(0, 3, 1, 2)
    assert torch.equal(backbone.normalise(turned), found)
    assert torch.equal(backbone.normalise(torch.from_numpy(pictures)), found)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((96, 96, 3), np.uint8),
        np.zeros((1, 96, 96, 4), np.uint8),
        np.zeros((1, 96, 96), np.uint8),
        np.zeros((1, 96, 96, 3), np.float32),
    ],
    ids=["no batch", "four channels", "grey", "float"],
)
def test_batches_of_another_type_or_shape_are_refused(images):
    with pytest.raises(ValueError, match="images must be uint8"):
        load_backbone("embedded", "cpu").normalise(images)


# Weights files -----------------------------------------------------------------------------------


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


HEAD = {"head.mlp.0.weight": torch.zeros(4, 384), "head.last_layer.weight_g": torch.zeros(4, 1)}
WRAPPINGS = {
    "plain": lambda state: state,
    "teacher": lambda state: {"teacher": prefixed(state | HEAD, "backbone.")},
    "module": lambda state: prefixed(state | HEAD, "module.backbone."),
    "state_dict": lambda state: {"state_dict": prefixed(state, "module."), "epoch": 3},
    "model": lambda state: {"model": state},
    "full checkpoint": lambda state: {
        "student": prefixed(
            {name: t + 1 for name, t in (state | HEAD).items()}, "module.backbone."
        ),
        "teacher": prefixed(state | HEAD, "backbone."),
        "optimizer": {"state": {0: {"step": 5}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 800,
        "args": argparse.Namespace(arch="vit_small", lr=0.0005, local_crops_scale=(0.05, 0.4)),
        "dino_loss": {"center": torch.zeros(1, 4)},
    },
}


def equal(found, expected):
    same_names = found.keys() == expected.keys()
    return same_names and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_state_dicts_are_unwrapped(tmp_path, small, wrapping):
    path = tmp_path / "weights.pth"
    torch.save(WRAPPINGS[wrapping](small), path)
    assert equal(read_state_dict(path), small)


def test_a_full_dino_checkpoint_gives_the_teachers_keys(tmp_path, small, small_file, pictures):
    path = tmp_path / "checkpoint.pth"
    torch.save(WRAPPINGS["full checkpoint"](small), path)
    backbone, plain = load_small(path), load_small(small_file)
    images = plain.normalise(pictures[:1])
    assert torch.equal(backbone(images), plain(images))


@pytest.mark.parametrize("legacy", [True, False])
def test_safetensors_and_both_formats_of_torch_are_read(tmp_path, small, legacy):
    save_file(small, tmp_path / "w.safetensors")
    torch.save(small, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    for name in ("w.safetensors", "w.pth"):
        assert equal(read_state_dict(tmp_path / name), small)


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.system, (f"touch {self.target}",))


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path, small, protocol, wrapped
):
    target = tmp_path / "touched"
    content = {**small, "bomb": Bomb(target)} if wrapped else Bomb(target)
    path = tmp_path / "weights.pth"
    if protocol == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(BackboneError, match=r"weights\.pth is not a plain state dict"):
        load_small(path)
    assert not target.exists()
    torch.load(path, weights_only=False) if protocol == "torch" else pickle.loads(path.read_bytes())
    assert target.exists()


def test_weights_of_another_architecture_are_named(tmp_path, weights_of):
    other = weights_of("vit_tiny_patch16_224", depth=11)
    other["extra.weight"] = torch.zeros(1)
    torch.save(other, tmp_path / "tiny.pth")
    with pytest.raises(BackboneError) as error:
        load_small(tmp_path / "tiny.pth")
    message = str(error.value)
    assert "tiny.pth does not fit vit_small_patch16_224.dino" in message
    assert "12 missing (blocks.11.attn.proj.bias, blocks.11.attn.proj.weight, " in message
    assert "1 unexpected (extra.weight)" in message
    assert "of another shape (cls_token (1, 1, 192) instead of (1, 1, 384), " in message
    assert len(message) < 1000


def test_weights_of_another_patch_size_are_named(tmp_path, weights_of):
    torch.save(weights_of(DINO["dino_vits8"]), tmp_path / "small8.pth")
    with pytest.raises(BackboneError, match=r"2 of another shape .*patch_embed\.proj\.weight"):
        load_small(tmp_path / "small8.pth")


TEXTS = [
    b"hello world",
    b"]q",
    b"a",
    b"# notes\n",
    b"{}",
    b"PK\x03\x04junk",
    b"",
    b"\x80\x02}q\x00.",
]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"


@pytest.mark.parametrize("content", [*TEXTS, POINTER])
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights"])
def test_files_that_are_no_weights_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=name):
        read_state_dict(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_refused(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "weights.pth"
    for _ in range(60):
        path.write_bytes(rng.bytes(int(rng.integers(1, 50))))
        with pytest.raises(BackboneError, match=r"weights\.pth"):
            read_state_dict(path)


def test_a_truncated_file_is_refused(tmp_path, small, small_file):
    save_file(small, tmp_path / "w.safetensors")
    for whole in (tmp_path / "w.safetensors", small_file):
        cut = tmp_path / f"cut{whole.suffix}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(BackboneError, match="is not a readable"):
            read_state_dict(cut)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.zeros(3), {"a": [1.0]}])
def test_what_holds_no_parameters_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(BackboneError, match="holds no state dict"):
        read_state_dict(tmp_path / "weights.pth")


def test_missing_weights_and_folders_are_named(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(BackboneError, match=f"no weights file at {path}"):
            load_small(path)


def test_embedded_takes_no_weights(small_file):
    with pytest.raises(BackboneError, match="takes no weights"):
        load_backbone("embedded", weights=small_file)


# Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dino_vitb14", "", "vit_tiny_patch16_224", "DINO_VITB8"])
def test_unknown_backbone_lists_the_known_ones(name):
    with pytest.raises(BackboneError, match=", ".join(BACKBONES)):
        load_backbone(name, "cpu")


def test_unknown_timm_model_is_named():
    with pytest.raises(BackboneError, match="timm has no model 'vit_nothing'"):
        load_backbone("timm:vit_nothing", "cpu")


@pytest.mark.parametrize("name", ["resnet18", "beit_base_patch16_224", "mixer_b16_224"])
def test_timm_models_that_are_no_resizable_vits_are_refused(small_file, name):
    with pytest.raises(BackboneError, match="is not a vision transformer"):
        load_backbone(f"timm:{name}", "cpu", weights=small_file)


@pytest.mark.parametrize("device", ["gpu", "", "meta", "hpu", "vulkan", "cuda:99", "cpu:x"])
def test_devices_that_cannot_compute_here_are_refused(device):
    with pytest.raises(BackboneError, match=f"device {device!r} cannot be used here"):
        load_backbone("embedded", device=device)


def test_unknown_number_type_lists_the_known_ones():
    with pytest.raises(BackboneError, match="auto, float32, bfloat16, float16; got 'int8'"):
        load_backbone("embedded", "cpu", dtype="int8")


def test_automatic_choices_are_of_this_machine():
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    assert resolve_device("auto").type == ("cuda" if cuda else "cpu")
    expected = "cuda" if cuda else "mps" if mps else "cpu"
    assert resolve_device("auto", with_mps=True).type == expected
    assert load_backbone("embedded").device == resolve_device("auto")
    assert resolve_device("cpu") == torch.device("cpu")
    capabilities = torch.cpu.get_capabilities()
    fast = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    expected = torch.bfloat16 if fast else torch.float32
    assert resolve_dtype("auto", torch.device("cpu")) is expected


def test_without_the_hub_the_error_names_the_file_to_bring_and_the_flag(tmp_path):
    code = (
        "from promerge_core import BackboneError, load_backbone\n"
        "for name in ('dino_vits16', 'timm:vit_tiny_patch16_224'):\n"
        "    try:\n"
        "        load_backbone(name, 'cpu')\n"
        "    except BackboneError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    dino, other = done.stdout.splitlines()
    assert dino.startswith("the pretrained weights of dino_vits16 could not be downloaded")
    assert "dino_deitsmall16_pretrain.pth (https://dl.fbaipublicfiles.com/dino/" in dino
    assert other.startswith("the pretrained weights of timm:vit_tiny_patch16_224 could not be")
    assert "Bring its state dict as .pth or .safetensors" in other
    assert all("--weights FILE" in message for message in (dino, other))


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.nope", "vit_giant_patch14_224"])
def test_a_model_without_pretrained_weights_is_not_blamed_on_the_hub(name):
    with pytest.raises(BackboneError) as error:
        load_backbone(f"timm:{name}", "cpu")
    assert "hub cannot be reached" not in str(error.value)
    assert name in str(error.value)
    assert "--weights FILE" in str(error.value)
