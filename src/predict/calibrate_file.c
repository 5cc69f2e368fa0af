/* A calibration as a file, so that a later run makes the same plan without the pictures. */
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "predict/calibrate.h"
#include "text/json.h"
#include "text/json_write.h"

enum { MOST_BYTES = 16 << 20, MARK_DIGITS = 16 };

/* Numbers beyond are no network's, and could become infinite on their way through one. */
static const double most_magnitude = 1e12;

/* ---- which weights a calibration belongs to ---- */

/* Bytes of a tensor into a mark: as fast as memory, against accidents, not against an enemy.  Four chains, so that a
 * multiplication need not wait for the last one. */
static uint64_t mark_bytes(uint64_t mark, const void *bytes, size_t size)
{
    const uint64_t prime = 0x9e3779b97f4a7c15u;
    uint64_t chain[4] = {mark, mark + 1, mark + 2, size};
    size_t at = 0;
    for (; at + sizeof chain <= size; at += sizeof chain) {
        uint64_t words[4];
        memcpy(words, (const char *)bytes + at, sizeof words);
        for (int i = 0; i < 4; i++) chain[i] = ((chain[i] ^ words[i]) * prime) ^ (chain[i] >> 29);
    }
    for (; at < size; at++) chain[0] = (chain[0] ^ ((const uint8_t *)bytes)[at]) * prime;
    for (int i = 1; i < 4; i++) chain[0] = (chain[0] ^ chain[i] ^ (chain[0] >> 32)) * prime;
    return chain[0];
}

/* Of the preprocessing, and of all weights before the last product, whose input is the last value that may be bytes: another head changes nothing. */
static uint64_t mark_of(struct dio_ctx *ctx, const struct dio_model *model)
{
    const struct dio_graph *graph = model->graph;
    int last = 0;
    uint64_t mark = 0;
    struct dio_str recipe;
    dio_str_init(&recipe, ctx);
    dio_image_recipe_write(&recipe, &model->recipe);
    if (!recipe.failed) mark = mark_bytes(mark, recipe.data, recipe.length);
    dio_str_free(&recipe);
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].macs) last = i;
    }
    for (int i = 0; i < last; i++) {
        for (int j = 0; j < graph->nodes[i].n_params; j++) {
            const struct dio_param *param = &graph->params[graph->nodes[i].params[j]];
            size_t size;
            if (param->role == DIO_PARAM_COUNTER || !param->data || !dio_shape_bytes(&param->shape, param->dtype, &size)) continue;
            mark = mark_bytes(mark, param->data, size);
        }
    }
    return mark;
}

/* ---- writing ---- */

dio_status dio_calibration_write(struct dio_ctx *ctx, const struct dio_model *model, const char *path, int64_t pictures,
                                 const struct dio_value_range *ranges, const double *lost, double loss)
{
    struct dio_str text;
    struct dio_json_writer w;
    char mark[MARK_DIGITS + 1];
    snprintf(mark, sizeof mark, "%016" PRIx64, mark_of(ctx, model));
    dio_str_init(&text, ctx);
    dio_json_begin(&w, &text, 2);
    dio_json_map(&w, NULL);
    dio_json_text(&w, "calibration", "int8");
    dio_json_i64(&w, "pictures", pictures);
    dio_json_text(&w, "weights", mark);
    dio_json_double(&w, "loss", loss);
    dio_json_list(&w, "values");
    for (int v = 0; v < model->graph->n_values; v++) {
        if (dio_range_is_none(ranges[v]) && !(lost[v] > 0)) continue;
        dio_json_map(&w, NULL);
        dio_json_text(&w, "name", model->graph->values[v].name);
        if (dio_range_is_none(ranges[v])) {
            dio_json_double(&w, "stays_wide", lost[v]);
        } else {
            dio_json_double(&w, "low", (double)ranges[v].low);
            dio_json_double(&w, "high", (double)ranges[v].high);
        }
        dio_json_end_map(&w);
    }
    dio_json_end_list(&w);
    dio_json_end_map(&w);
    dio_str_add(&text, "\n");
    dio_status status = dio_str_status(&text);
    if (status == DIO_OK) status = dio_write_whole(ctx, path, text.data, text.length);
    dio_str_free(&text);
    return status;
}

/* ---- reading ---- */

static int value_named(const struct dio_graph *graph, const char *name)
{
    for (int v = 0; v < graph->n_values; v++) {
        if (strcmp(graph->values[v].name, name) == 0) return v;
    }
    return -1;
}

static dio_status read_value(struct dio_tree *tree, const struct dio_tree_node *node, const struct dio_graph *graph,
                             struct dio_value_range *ranges, double *lost)
{
    static const char *const keys[] = {"name", "low", "high", "stays_wide"};
    const char *name;
    double low = 0, high = 0, wide = 0;
    bool is_wide;
    if (node->type != DIO_NODE_MAP) return dio_tree_fail(tree, node, "not an object");
    DIO_PASS(dio_tree_only_keys(tree, node, "", keys, sizeof keys / sizeof *keys));
    DIO_PASS(dio_tree_text(tree, node, "name", &name, NULL));
    const int v = value_named(graph, name);
    if (v < 0) return dio_tree_fail(tree, node, "the model has no value of this name: another model's calibration?");
    DIO_PASS(dio_tree_number(tree, node, "stays_wide", 0, DBL_MAX, &wide, &is_wide));
    if (is_wide) {
        lost[v] = wide;
        return DIO_OK;
    }
    DIO_PASS(dio_tree_number(tree, node, "low", -most_magnitude, most_magnitude, &low, NULL));
    DIO_PASS(dio_tree_number(tree, node, "high", low, most_magnitude, &high, NULL));
    ranges[v] = (struct dio_value_range){(float)low, (float)high};
    return DIO_OK;
}

static dio_status read_all(struct dio_ctx *ctx, struct dio_tree *tree, const struct dio_model *model, struct dio_value_range *ranges, double *lost,
                           double *loss, int64_t *pictures)
{
    const struct dio_graph *graph = model->graph;
    static const char *const kinds[] = {"int8"};
    static const char *const keys[] = {"calibration", "pictures", "weights", "loss", "values"};
    const struct dio_tree_node *values;
    const char *mark;
    char wanted[MARK_DIGITS + 1];
    double count;
    size_t kind;
    bool found;
    DIO_PASS(dio_tree_choice(tree, tree->root, "calibration", kinds, 1, &kind, NULL));
    DIO_PASS(dio_tree_only_keys(tree, tree->root, "", keys, sizeof keys / sizeof *keys));
    DIO_PASS(dio_tree_number(tree, tree->root, "pictures", 0, DIO_CALIBRATE_PICTURES, &count, &found));
    *pictures = found ? (int64_t)count : 0;
    DIO_PASS(dio_tree_text(tree, tree->root, "weights", &mark, NULL));
    DIO_PASS(dio_tree_number(tree, tree->root, "loss", 0, DBL_MAX, loss, &found));
    DIO_PASS(dio_tree_list(tree, tree->root, "values", &values, NULL));
    for (size_t i = 0; i < values->count; i++) DIO_PASS(read_value(tree, &values->items[i], graph, ranges, lost));
    snprintf(wanted, sizeof wanted, "%016" PRIx64, mark_of(ctx, model));
    if (strcmp(mark, wanted) != 0) {
        return dio_tree_fail(tree, NULL, "made from other weights or preprocessing than this model's; calibrate again with pictures (--calibrate PICTURES --save-calibration FILE)");
    }
    return DIO_OK;
}

dio_status dio_calibration_read(struct dio_ctx *ctx, const struct dio_model *model, const char *path, struct dio_value_range *ranges,
                                double *lost, double *loss, int64_t *pictures)
{
    struct dio_tree tree;
    const int values = model->graph->n_values;
    for (int v = 0; v < values; v++) ranges[v] = dio_range_none();
    memset(lost, 0, (size_t)values * sizeof *lost);
    DIO_PASS(dio_json_read(ctx, path, MOST_BYTES, "J1", &tree));
    const dio_status status = read_all(ctx, &tree, model, ranges, lost, loss, pictures);
    dio_tree_free(&tree);
    return status;
}
