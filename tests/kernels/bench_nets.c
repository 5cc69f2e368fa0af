/* The convolutions of known networks, each distinct one once. */
#include "bench_nets.h"

#include <string.h>

static const struct bench_layer resnet50[] = {
    {1, 224, 3, "out=64 kernel=7 stride=2 padding=3"},    {1, 56, 64, "out=64 kernel=1"},
    {3, 56, 64, "out=64 kernel=3 padding=1"},             {4, 56, 64, "out=256 kernel=1"},
    {2, 56, 256, "out=64 kernel=1"},                      {1, 56, 256, "out=128 kernel=1"},
    {1, 56, 128, "out=128 kernel=3 stride=2 padding=1"},  {4, 28, 128, "out=512 kernel=1"},
    {1, 56, 256, "out=512 kernel=1 stride=2"},            {3, 28, 512, "out=128 kernel=1"},
    {3, 28, 128, "out=128 kernel=3 padding=1"},           {1, 28, 512, "out=256 kernel=1"},
    {1, 28, 256, "out=256 kernel=3 stride=2 padding=1"},  {6, 14, 256, "out=1024 kernel=1"},
    {1, 28, 512, "out=1024 kernel=1 stride=2"},           {5, 14, 1024, "out=256 kernel=1"},
    {5, 14, 256, "out=256 kernel=3 padding=1"},           {1, 14, 1024, "out=512 kernel=1"},
    {1, 14, 512, "out=512 kernel=3 stride=2 padding=1"},  {3, 7, 512, "out=2048 kernel=1"},
    {1, 14, 1024, "out=2048 kernel=1 stride=2"},          {2, 7, 2048, "out=512 kernel=1"},
    {2, 7, 512, "out=512 kernel=3 padding=1"},            {0},
};
static const struct bench_layer resnet18[] = {
    {1, 224, 3, "out=64 kernel=7 stride=2 padding=3"},    {4, 56, 64, "out=64 kernel=3 padding=1"},
    {1, 56, 64, "out=128 kernel=3 stride=2 padding=1"},   {3, 28, 128, "out=128 kernel=3 padding=1"},
    {1, 56, 64, "out=128 kernel=1 stride=2"},             {1, 28, 128, "out=256 kernel=3 stride=2 padding=1"},
    {3, 14, 256, "out=256 kernel=3 padding=1"},           {1, 28, 128, "out=256 kernel=1 stride=2"},
    {1, 14, 256, "out=512 kernel=3 stride=2 padding=1"},  {3, 7, 512, "out=512 kernel=3 padding=1"},
    {1, 14, 256, "out=512 kernel=1 stride=2"},            {0},
};
static const struct bench_layer resnext50[] = {
    {3, 56, 128, "out=128 kernel=3 padding=1 groups=32"}, {1, 56, 256, "out=256 kernel=3 padding=1 stride=2 groups=32"},
    {3, 28, 256, "out=256 kernel=3 padding=1 groups=32"}, {5, 14, 512, "out=512 kernel=3 padding=1 groups=32"},
    {2, 7, 1024, "out=1024 kernel=3 padding=1 groups=32"}, {0},
};
static const struct bench_layer mobilenet_v2[] = {
    {1, 224, 3, "out=32 kernel=3 stride=2 padding=1"},
    {1, 112, 32, "out=32 kernel=3 padding=1 groups=32"},
    {1, 112, 32, "out=16 kernel=1"},
    {1, 112, 16, "out=96 kernel=1"},
    {1, 112, 96, "out=96 kernel=3 stride=2 padding=1 groups=96"},
    {1, 56, 96, "out=24 kernel=1"},
    {2, 56, 24, "out=144 kernel=1"},
    {1, 56, 144, "out=144 kernel=3 padding=1 groups=144"},
    {1, 56, 144, "out=24 kernel=1"},
    {1, 56, 144, "out=144 kernel=3 stride=2 padding=1 groups=144"},
    {3, 28, 32, "out=192 kernel=1"},
    {2, 28, 192, "out=192 kernel=3 padding=1 groups=192"},
    {3, 28, 192, "out=32 kernel=1"},
    {4, 14, 64, "out=384 kernel=1"},
    {4, 14, 384, "out=384 kernel=3 padding=1 groups=384"},
    {4, 14, 384, "out=64 kernel=1"},
    {2, 14, 96, "out=576 kernel=1"},
    {2, 14, 576, "out=576 kernel=3 padding=1 groups=576"},
    {2, 14, 576, "out=96 kernel=1"},
    {3, 7, 160, "out=960 kernel=1"},
    {3, 7, 960, "out=960 kernel=3 padding=1 groups=960"},
    {3, 7, 960, "out=160 kernel=1"},
    {1, 7, 320, "out=1280 kernel=1"},
    {0},
};

/* Depthwise layers of MobileNetV2, EfficientNet-B0 and ConvNeXt-Tiny; those of 5 x 5 and 7 x 7 are kept apart too. */
static const struct bench_layer depthwise3[] = {
    {1, 112, 32, "out=32 kernel=3 padding=1 groups=32"},            {1, 112, 96, "out=96 kernel=3 stride=2 padding=1 groups=96"},
    {1, 56, 144, "out=144 kernel=3 padding=1 groups=144"},          {1, 56, 144, "out=144 kernel=3 stride=2 padding=1 groups=144"},
    {2, 28, 192, "out=192 kernel=3 padding=1 groups=192"},          {4, 14, 384, "out=384 kernel=3 padding=1 groups=384"},
    {2, 14, 576, "out=576 kernel=3 padding=1 groups=576"},          {3, 7, 960, "out=960 kernel=3 padding=1 groups=960"},
    {0},
};
static const struct bench_layer depthwise5[] = {
    {1, 56, 144, "out=144 kernel=5 stride=2 padding=2 groups=144"}, {1, 28, 240, "out=240 kernel=5 padding=2 groups=240"},
    {1, 14, 480, "out=480 kernel=5 padding=2 groups=480"},          {2, 14, 672, "out=672 kernel=5 padding=2 groups=672"},
    {1, 14, 672, "out=672 kernel=5 stride=2 padding=2 groups=672"}, {3, 7, 1152, "out=1152 kernel=5 padding=2 groups=1152"},
    {0},
};
static const struct bench_layer depthwise7[] = {
    {3, 56, 96, "out=96 kernel=7 padding=3 groups=96"},             {3, 28, 192, "out=192 kernel=7 padding=3 groups=192"},
    {9, 14, 384, "out=384 kernel=7 padding=3 groups=384"},          {3, 7, 768, "out=768 kernel=7 padding=3 groups=768"},
    {0},
};

const struct bench_layer *bench_net(const char *name)
{
    static const struct {
        const char *name;
        const struct bench_layer *layers;
    } nets[] = {{"resnet18", resnet18},         {"resnet50", resnet50},     {"resnext50", resnext50},  {"mobilenet_v2", mobilenet_v2},
                {"depthwise3", depthwise3}, {"depthwise5", depthwise5}, {"depthwise7", depthwise7}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        if (strcmp(name, nets[i].name) == 0) return nets[i].layers;
    }
    return NULL;
}
