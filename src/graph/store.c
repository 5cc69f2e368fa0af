/* A graph as text, one line each:
 *
 *   graph 1
 *   input NAME DTYPE DIM DIM ...            dims of one image
 *   stage NAME
 *   node OP NAME INPUT,INPUT [ATTRIBUTES]
 *   output NAME
 *
 * In names, bytes that would end a word are written %XX. */
#include <string.h>

#include "base/str.h"
#include "graph/graph.h"

enum { MAX_NAME = 512, MAX_LINE = 8192, MAX_STORED_NODES = 20 * 1000 };

static bool is_plain(unsigned char c) { return c > ' ' && c != '%' && c != ',' && c != 0x7f; }

static void put_name(struct dio_str *out, const char *name)
{
    for (; *name; name++) {
        if (is_plain((unsigned char)*name)) {
            dio_str_add_bytes(out, name, 1);
        } else {
            dio_str_addf(out, "%%%02X", (unsigned char)*name);
        }
    }
}

static void put_node(const struct dio_graph *graph, const struct dio_node *node, struct dio_str *out)
{
    dio_str_addf(out, "node %s ", node->op->name);
    put_name(out, node->name);
    for (int i = 0; i < node->n_inputs; i++) {
        dio_str_add(out, i ? "," : " ");
        put_name(out, graph->values[node->inputs[i]].name);
    }
    size_t before = out->length;
    dio_str_add(out, " ");
    dio_attrs_print(node->op, node->attrs, out);
    if (!out->failed && out->length == before + 1) out->data[--out->length] = 0;
    dio_str_add(out, "\n");
}

dio_status dio_graph_store(const struct dio_graph *graph, struct dio_str *out)
{
    if (graph->status != DIO_OK) return graph->status;
    dio_str_add(out, "graph 1\n");
    for (int i = 0; i < graph->n_inputs; i++) {
        const struct dio_value *value = &graph->values[graph->inputs[i]];
        dio_str_add(out, "input ");
        put_name(out, value->name);
        dio_str_addf(out, " %s", dio_dtype_name(value->type.dtype));
        for (int axis = 1; axis < value->type.shape.rank; axis++) dio_str_addf(out, " %lld", (long long)value->type.shape.dims[axis]);
        dio_str_add(out, "\n");
    }
    int stage = -1;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct dio_node *node = &graph->nodes[i];
        if (node->stage != stage && node->stage < graph->n_stages) {
            dio_str_add(out, "stage ");
            put_name(out, graph->stages[node->stage]);
            dio_str_add(out, "\n");
            stage = node->stage;
        }
        put_node(graph, node, out);
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        dio_str_add(out, "output ");
        put_name(out, graph->values[graph->outputs[i]].name);
        dio_str_add(out, "\n");
    }
    return dio_str_status(out);
}

/* ---- reading ---- */

struct reader {
    struct dio_graph *graph;
    struct dio_place place; /* line */
    const char *at, *end;   /* rest of the line */
};

#define REFUSE(reader, ...) dio_fail((reader)->graph->ctx, DIO_ERR_INPUT, "O7", &(reader)->place, __VA_ARGS__)

/* The next word up to a space or one of `stops`; false at the end of the line. */
static bool next_word(struct reader *reader, char stop, const char **word, size_t *length)
{
    while (reader->at < reader->end && *reader->at == ' ') reader->at++;
    *word = reader->at;
    while (reader->at < reader->end && *reader->at != ' ' && *reader->at != stop) reader->at++;
    *length = (size_t)(reader->at - *word);
    return *length > 0;
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

static dio_status read_name(struct reader *reader, char stop, char name[MAX_NAME])
{
    const char *word;
    size_t length, used = 0;
    if (!next_word(reader, stop, &word, &length)) return REFUSE(reader, "a name is missing");
    for (size_t i = 0; i < length; i++) {
        char c = word[i];
        if (c == '%') {
            int high = i + 2 < length ? hex(word[i + 1]) : -1, low = high >= 0 ? hex(word[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) return REFUSE(reader, "bad %%XX in a name");
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (used + 1 >= MAX_NAME) return REFUSE(reader, "a name is longer than %d bytes", MAX_NAME - 1);
        name[used++] = c;
    }
    name[used] = 0;
    return DIO_OK;
}

static dio_status read_input(struct reader *reader)
{
    char name[MAX_NAME];
    DIO_PASS(read_name(reader, 0, name));
    const char *word;
    size_t length;
    enum dio_dtype dtype;
    if (!next_word(reader, 0, &word, &length) || !dio_dtype_parse(word, length, &dtype)) return REFUSE(reader, "unknown element type");
    struct dio_shape shape = {.rank = 1};
    while (next_word(reader, 0, &word, &length)) {
        if (shape.rank == DIO_MAX_RANK) return REFUSE(reader, "more than %d axes", DIO_MAX_RANK);
        if (!dio_parse_i64(word, length, &shape.dims[shape.rank])) return REFUSE(reader, "a dimension is no whole number");
        shape.rank++;
    }
    dio_graph_input(reader->graph, name, dtype, &shape);
    return reader->graph->status;
}

static dio_status read_node(struct reader *reader)
{
    char op[MAX_NAME], name[MAX_NAME], input[MAX_NAME];
    DIO_PASS(read_name(reader, 0, op));
    DIO_PASS(read_name(reader, 0, name));
    int inputs[DIO_OP_MAX_INPUTS], count = 0;
    for (;;) {
        if (count == DIO_OP_MAX_INPUTS) return REFUSE(reader, "more than %d inputs", DIO_OP_MAX_INPUTS);
        DIO_PASS(read_name(reader, ',', input));
        inputs[count] = dio_graph_find_value(reader->graph, input);
        if (inputs[count] < 0) {
            char shown[MAX_NAME];
            dio_escape(shown, sizeof shown, input, strlen(input), 0);
            return REFUSE(reader, "input \"%s\" is defined nowhere", shown);
        }
        count++;
        if (reader->at == reader->end || *reader->at != ',') break;
        reader->at++;
    }
    if (reader->graph->n_nodes == MAX_STORED_NODES) return REFUSE(reader, "more than %d nodes", MAX_STORED_NODES);
    dio_node_n(reader->graph, op, name, inputs, count, "%.*s", (int)(reader->end - reader->at), reader->at);
    return reader->graph->status;
}

static dio_status read_line(struct reader *reader)
{
    const char *word;
    size_t length;
    char name[MAX_NAME];
    if (!next_word(reader, 0, &word, &length)) return DIO_OK;
    if (length == 5 && memcmp(word, "input", 5) == 0) return read_input(reader);
    if (length == 4 && memcmp(word, "node", 4) == 0) return read_node(reader);
    if (length == 5 && memcmp(word, "stage", 5) == 0) {
        DIO_PASS(read_name(reader, 0, name));
        dio_graph_stage(reader->graph, name);
        return reader->graph->status;
    }
    if (length == 6 && memcmp(word, "output", 6) == 0) {
        DIO_PASS(read_name(reader, 0, name));
        int value = dio_graph_find_value(reader->graph, name);
        if (value < 0) return dio_fail(reader->graph->ctx, DIO_ERR_INPUT, "O4", &reader->place, "graph output is made by no node");
        dio_graph_output(reader->graph, value);
        return reader->graph->status;
    }
    return REFUSE(reader, "unknown line");
}

static dio_status read_lines(struct dio_graph *graph, const char *text, size_t length)
{
    struct reader reader = {.graph = graph};
    size_t bad;
    if (memchr(text, 0, length) || !dio_utf8_valid(text, length, &bad)) return REFUSE(&reader, "graph: not UTF-8 text");
    const char *at = text, *end = text + length;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        reader.place.line++;
        reader.at = at;
        reader.end = newline ? newline : end;
        at = newline ? newline + 1 : end;
        if (reader.end - reader.at > MAX_LINE) return REFUSE(&reader, "line is too long");
        if (reader.place.line == 1) {
            if (reader.end - reader.at != 7 || memcmp(reader.at, "graph 1", 7) != 0) return REFUSE(&reader, "no graph of version 1");
            continue;
        }
        DIO_PASS(read_line(&reader));
    }
    reader.place = (struct dio_place){0};
    if (graph->n_outputs == 0) return dio_fail(graph->ctx, DIO_ERR_INPUT, "O4", &reader.place, "graph has no output");
    return DIO_OK;
}

dio_status dio_graph_load(struct dio_ctx *ctx, const char *text, size_t length, struct dio_graph **graph)
{
    DIO_PASS(dio_graph_new(ctx, graph));
    dio_status status = read_lines(*graph, text, length);
    if (status != DIO_OK) {
        dio_graph_free(*graph);
        *graph = NULL;
    }
    return status;
}
