#!/usr/bin/env python3
"""Writes relatives.txt: state dict names and shapes of timm's and torchvision's architectures that resemble those known
here and are others.  None of them may be taken for one of ours.  (Counters and variances are left out.)"""
try:  # a torchvision built against another PyTorch wants two operators declared first
    import torchvision_cpu  # noqa: F401
except ImportError:
    pass
import torch, torchvision, timm

TIMM = ("resnet26d resnet50_gn seresnet18 ecaresnet26t resnet10t legacy_seresnet18 resnetv2_18 skresnet18 res2net50_14w_8s "
        "tf_efficientnetv2_b0 efficientnet_es mnasnet_100 spnasnet_100 fbnetc_100 mobilenetv1_100 mobilenetv3_small_100 "
        "ghostnet_100 hardcorenas_a vgg11 resnext26ts").split()
TORCHVISION = "mobilenet_v3_small mnasnet1_0 efficientnet_b0 densenet121 vgg11 alexnet shufflenet_v2_x0_5 googlenet".split()


def main():
    with torch.device("meta"):
        models = [(f"timm {n}", timm.create_model(n)) for n in TIMM]
        models += [(f"torchvision {n}", torchvision.models.get_model(n, **({"init_weights": False} if n == "googlenet" else {}))) for n in TORCHVISION]
    for name, model in models:
        print("#", name)
        for key, value in model.state_dict().items():
            if not key.endswith(("num_batches_tracked", "running_var")):
                print(key, *value.shape)


main()
