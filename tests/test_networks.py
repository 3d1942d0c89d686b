"""Which network explanations are of, as far as names say it."""

from __future__ import annotations

import doctest

import pytest

from linexp.models import networks, published_network, same_network

PAPERS = "torchvision:resnet50:IMAGENET1K_V1"


def test_the_examples_run():
    assert doctest.testmod(networks).failed == 0


@pytest.mark.parametrize(
    ("file", "network"),
    [
        ("le_siglip_no_gs_5_resnet50_imagenet_layer4", PAPERS),
        ("vit_b_16_imagenet_encoder.layers.encoder_layer_11.mlp[1]", "torchvision:vit_b_16:IMAGENET1K_V1"),
        ("vgg16_bn_cifar100_classifier[4]", "vgg16_bn_cifar100"),
        ("resnet50_layer4", ""),
        ("theirs", ""),
    ],
)
def test_published_files_name_their_network(file: str, network: str):
    assert published_network(file) == network


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (PAPERS, PAPERS, True),
        (PAPERS, "timm:resnet50.tv_in1k", True),
        (PAPERS, "torchvision:resnet50:IMAGENET1K_V2", False),
        (PAPERS, "timm:resnet50.a1_in1k", False),
        (PAPERS, "torchvision:resnet18", False),
        (PAPERS, "efficientnet_lite0", False),
        ("resnet18_places365", "torchvision:resnet18:IMAGENET1K_V1", False),
        (PAPERS, "torchvision:resnet50", None),
        (PAPERS, "timm:resnet50", None),
        (PAPERS, "hf:microsoft/resnet-50", None),
        (PAPERS, "mymodels:build", None),
        ("mymodels:build", "mymodels:build", True),
    ],
)
def test_what_names_say_of_two_networks(one: str, other: str, same: bool | None):
    assert same_network(one, other) is same
    assert same_network(other, one) is same
