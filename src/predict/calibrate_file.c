/* A calibration as a file, so that a later run makes the same plan without the pictures. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "predict/calibrate.h"
#include "text/json.h"
#include "text/json_write.h"

enum { MOST_BYTES = 16 << 20 };

dio_status dio_calibration_write(struct dio_ctx *ctx, const struct dio_model *model, const char *path, int64_t pictures,
                                 const struct dio_value_range *ranges, const double *lost, double loss)
{
    struct dio_str text;
    struct dio_json_writer w;
    dio_str_init(&text, ctx);
    dio_json_begin(&w, &text, 2);
    dio_json_map(&w, NULL);
    dio_json_text(&w, "calibration", "int8");
    dio_json_i64(&w, "pictures", pictures);
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
    DIO_PASS(dio_tree_number(tree, node, "low", -(double)FLT_MAX, (double)FLT_MAX, &low, NULL));
    DIO_PASS(dio_tree_number(tree, node, "high", low, (double)FLT_MAX, &high, NULL));
    ranges[v] = (struct dio_value_range){(float)low, (float)high};
    return DIO_OK;
}

static dio_status read_all(struct dio_tree *tree, const struct dio_graph *graph, struct dio_value_range *ranges, double *lost, double *loss)
{
    static const char *const kinds[] = {"int8"};
    const struct dio_tree_node *values;
    size_t kind;
    bool found;
    DIO_PASS(dio_tree_choice(tree, tree->root, "calibration", kinds, 1, &kind, NULL));
    DIO_PASS(dio_tree_number(tree, tree->root, "loss", 0, DBL_MAX, loss, &found));
    DIO_PASS(dio_tree_list(tree, tree->root, "values", &values, NULL));
    for (size_t i = 0; i < values->count; i++) DIO_PASS(read_value(tree, &values->items[i], graph, ranges, lost));
    return DIO_OK;
}

dio_status dio_calibration_read(struct dio_ctx *ctx, const struct dio_model *model, const char *path, struct dio_value_range *ranges,
                                double *lost, double *loss)
{
    struct dio_tree tree;
    const int values = model->graph->n_values;
    for (int v = 0; v < values; v++) ranges[v] = dio_range_none();
    memset(lost, 0, (size_t)values * sizeof *lost);
    DIO_PASS(dio_json_read(ctx, path, MOST_BYTES, "J1", &tree));
    const dio_status status = read_all(&tree, model->graph, ranges, lost, loss);
    dio_tree_free(&tree);
    return status;
}
