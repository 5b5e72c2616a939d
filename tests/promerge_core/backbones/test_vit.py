"""Keys of vision transformers against timm and the official DINO."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

from promerge_core import BackboneError, load_backbone
from promerge_core.backbones.vit import interpolate_dino_positions

VITS = [
    "vit_tiny_patch16_224",
    "vit_small_patch14_reg4_dinov2.lvd142m",
    "vit_small_patch16_dinov3.lvd1689m",
]


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


def test_only_what_the_keys_need_is_computed(small_file, load_small):
    model = load_small(small_file).model
    assert sum(p.numel() for p in model.blocks[-1].parameters()) < 384 * 384 + 4 * 384
    assert isinstance(model.norm, torch.nn.Identity)


def test_a_batch_gives_what_its_images_give_alone(small_file, pictures, load_small):
    backbone = load_small(small_file)
    together = backbone(backbone.normalise(pictures))
    alone = torch.cat([backbone(backbone.normalise(picture[None])) for picture in pictures])
    assert torch.allclose(together, alone, atol=1e-5)


def test_any_size_may_follow_another(small_file, load_small):
    backbone = load_small(small_file)
    rng = np.random.default_rng(1)
    sizes = [96, 224, 64, 96]
    images = [rng.integers(0, 256, (1, size, size, 3), np.uint8) for size in sizes]
    fresh = [load_small(small_file)(backbone.normalise(image)) for image in images]
    for image, expected in zip(images, fresh, strict=True):
        assert torch.equal(backbone(backbone.normalise(image)), expected)


def test_grids_with_as_many_patches_but_other_sides_have_their_own_positions(
    small_file, load_small
):
    backbone = load_small(small_file)
    wide = torch.zeros(1, 3, 64, 144)
    expected = load_small(small_file)(wide)
    backbone(torch.zeros(1, 3, 96, 96))
    assert torch.equal(backbone(wide), expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same_keys(small_file, pictures, dtype, load_small):
    exact = load_small(small_file)
    half = load_backbone("dino_vits16", "cpu", dtype, small_file)
    images = exact.normalise(pictures)
    found, expected = half(images), exact(images)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    assert torch.cosine_similarity(found, expected).min() > 0.99


@pytest.mark.parametrize("shape", [(1, 3, 90, 96), (1, 3, 96, 100)])
def test_sides_that_are_no_multiples_of_the_patch_are_refused(small_file, shape, load_small):
    with pytest.raises(ValueError, match="multiples of the patch size 16"):
        load_small(small_file)(torch.zeros(shape))


def test_positions_at_the_trained_size_are_the_trained_ones():
    positions = torch.randn(1, 1 + 14 * 14, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(interpolate_dino_positions(positions, 14, 14), positions)
    larger = interpolate_dino_positions(positions, 30, 20)
    assert larger.shape == (1, 1 + 30 * 20, 8)
    assert torch.equal(larger[:, 0], positions[:, 0])


@pytest.mark.parametrize("name", ["resnet18", "beit_base_patch16_224", "mixer_b16_224"])
def test_timm_models_that_are_no_resizable_vits_are_refused(small_file, name):
    with pytest.raises(BackboneError, match="is not a vision transformer"):
        load_backbone(f"timm:{name}", "cpu", weights=small_file)
