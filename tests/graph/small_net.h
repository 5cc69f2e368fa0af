/* The small ResNet of the training goldens, built through the graph interface with torchvision's names: stem 3x3 to 8,
 * max-pool 3/2/1, basic blocks to 8, 16 and 32, mean, five classes; 24 x 24 pictures. */
#ifndef DIO_TESTS_GRAPH_SMALL_NET_H
#define DIO_TESTS_GRAPH_SMALL_NET_H

#include "support.h"

#include "base/threads.h"
#include "format/format.h"
#include "graph/plan.h"
#include "kernels/kernels.h"

enum { NET_SIZE = 24, NET_CLASSES = 5, NET_PICTURES = 16, NET_PICTURE = NET_SIZE * NET_SIZE * 3 };

struct small_net {
    struct dio_kernels kernels;
    struct dio_team *team;
    struct dio_graph *graph;
    int picture, target, logits, loss, features; /* values; features: the mean */
    float *block;                /* all parameters */
    float x[NET_PICTURES * NET_PICTURE]; /* channels last */
    int32_t y[NET_PICTURES];
};

static inline int small_conv(struct dio_graph *graph, const char *name, int x, int out, int kernel, int stride)
{
    return dio_node1(graph, "conv", name, x, "out=%d kernel=%d stride=%d padding=%d", out, kernel, stride, kernel / 2);
}

static inline const char *small_name(const char *prefix, const char *name)
{
    static char names[8][64];
    static int next;
    char *text = names[next++ % 8];
    snprintf(text, sizeof names[0], "%s%s", prefix, name);
    return text;
}

static inline int small_block(struct dio_graph *graph, const char *prefix, int x, int out, int stride)
{
    int y = small_conv(graph, small_name(prefix, "conv1"), x, out, 3, stride);
    y = dio_node1(graph, "batch_norm", small_name(prefix, "bn1"), y, " ");
    y = dio_node1(graph, "activation", small_name(prefix, "relu1"), y, "kind=relu");
    y = small_conv(graph, small_name(prefix, "conv2"), y, out, 3, 1);
    y = dio_node1(graph, "batch_norm", small_name(prefix, "bn2"), y, " ");
    if (stride != 1) {
        x = small_conv(graph, small_name(prefix, "downsample.0"), x, out, 1, stride);
        x = dio_node1(graph, "batch_norm", small_name(prefix, "downsample.1"), x, " ");
    }
    y = dio_node2(graph, "add", small_name(prefix, "add"), y, x, " ");
    return dio_node1(graph, "activation", small_name(prefix, "relu2"), y, "kind=relu");
}

/* smoothing and class weights belong to the loss. */
static inline void small_build(struct small_net *net, struct dio_ctx *ctx, double smoothing, bool class_weights)
{
    assert_int_equal(dio_graph_new(ctx, &net->graph), DIO_OK);
    struct dio_graph *graph = net->graph;
    struct dio_shape picture = dio_shape_4(0, NET_SIZE, NET_SIZE, 3), target = dio_shape_1(0);
    net->picture = dio_graph_input(graph, "x", DIO_F32, &picture);
    net->target = dio_graph_input(graph, "target", DIO_I32, &target);
    dio_graph_stage(graph, "stem");
    int x = small_conv(graph, "conv1", net->picture, 8, 3, 1);
    x = dio_node1(graph, "batch_norm", "bn1", x, " ");
    x = dio_node1(graph, "activation", "relu", x, "kind=relu");
    x = dio_node1(graph, "max_pool", "maxpool", x, "kernel=3 stride=2 padding=1");
    dio_graph_stage(graph, "layer1");
    x = small_block(graph, "layer1.0.", x, 8, 1);
    dio_graph_stage(graph, "layer2");
    x = small_block(graph, "layer2.0.", x, 16, 2);
    dio_graph_stage(graph, "layer3");
    x = small_block(graph, "layer3.0.", x, 32, 2);
    dio_graph_stage(graph, "head");
    net->features = dio_node1(graph, "global_avg_pool", "avgpool", x, " ");
    net->logits = dio_node1(graph, "linear", "fc", net->features, "out=%d", NET_CLASSES);
    net->loss = dio_node2(graph, "softmax_cross_entropy", "loss", net->logits, net->target, "smoothing=%g class_weights=%d", smoothing,
                          class_weights);
    dio_graph_output(graph, net->logits);
    assert_int_equal(graph->status, DIO_OK);
}

static inline int64_t small_count(const struct dio_param *param)
{
    return param->role == DIO_PARAM_COUNTER ? 2 : dio_shape_elements(&param->shape);
}

static inline void small_load(struct small_net *net, struct dio_ctx *ctx)
{
    size_t floats = 0;
    for (int i = 0; i < net->graph->n_params; i++) floats += (size_t)((small_count(&net->graph->params[i]) + 15) / 16 * 16);
    float *at = net->block = dio_alloc_aligned(ctx, floats * sizeof(float), "weights");
    assert_non_null(at);
    struct dio_weights weights;
    assert_int_equal(dio_weights_read(ctx, test_source_path("graph/golden/train_resnet.safetensors"), NULL, &weights), DIO_OK);
    for (int i = 0; i < net->graph->n_params; i++) {
        struct dio_param *param = &net->graph->params[i];
        param->data = at;
        at += (small_count(param) + 15) / 16 * 16;
        const struct dio_weight *weight = dio_weights_find(&weights, param->name);
        if (param->role == DIO_PARAM_CONSTANT || param->role == DIO_PARAM_COUNTER) continue;
        assert_non_null(weight);
        assert_true(dio_weight_is(weight, param->shape.rank, param->shape.dims));
        assert_int_equal(dio_weight_to_f32(ctx, &weights, weight, param->data), DIO_OK);
    }
    float *planes = dio_alloc_array(ctx, NET_PICTURES * NET_PICTURE, sizeof *planes, "pictures"), y[NET_PICTURES];
    assert_non_null(planes);
    assert_int_equal(dio_weight_to_f32(ctx, &weights, dio_weights_find(&weights, "x"), planes), DIO_OK);
    assert_int_equal(dio_weight_to_f32(ctx, &weights, dio_weights_find(&weights, "y"), y), DIO_OK);
    enum { PIXELS = NET_SIZE * NET_SIZE };
    for (int i = 0; i < NET_PICTURES * NET_PICTURE; i++) {
        int picture = i / NET_PICTURE, c = i % NET_PICTURE / PIXELS, pixel = i % PIXELS;
        net->x[picture * NET_PICTURE + pixel * 3 + c] = planes[i];
    }
    for (int i = 0; i < NET_PICTURES; i++) net->y[i] = (int32_t)y[i];
    dio_free(ctx, planes);
    dio_weights_free(ctx, &weights);
}

/* threads 0: no team */
static inline void small_open(struct small_net *net, struct dio_ctx *ctx, int threads, double smoothing, bool class_weights)
{
    memset(net, 0, sizeof *net);
    dio_kernels_select(&ctx->cpu, dio_kernels_best(&ctx->cpu), &net->kernels);
    ctx->kernels = &net->kernels;
    if (threads > 0) assert_int_equal(dio_team_start(ctx, threads, &net->team), DIO_OK);
    ctx->team = net->team;
    small_build(net, ctx, smoothing, class_weights);
    small_load(net, ctx);
}

static inline void small_close(struct small_net *net, struct dio_ctx *ctx)
{
    dio_graph_free(net->graph);
    dio_free(ctx, net->block);
    if (net->team) dio_team_stop(ctx, net->team);
    ctx->team = NULL;
}

#endif
