/* The graph of an encoder: BERT's, and of those that differ from it in what the configuration says. Sizes: B batch, S sequence,
 * H hidden, E columns of the tables, I inner, A heads, D = H / A, P positions.
 *
 *     word + token type + position -> LayerNorm -> x (B, S, E), by a linear layer (B, S, H); then for each layer:
 *     q, k, v = x W + b, as (B, A, S, D)
 *     x = LayerNorm(x + (softmax(q k' / sqrt(D) + mask + bias by position) v) Wo + bo)
 *     x = LayerNorm(x + activation(x Wu + bu) Wd + bd)
 *
 * onnx_heads.c has what follows, onnx_layers.c the layers. Two things are written for the optimizers of runtimes:
 * - Add then LayerNormalization becomes SkipLayerNormalization if the shapes of both summands are known to be equal. Shape
 *   inference loses the sequence axis at the Slice of the positions; sv_onnx_shape brings it back.
 * - Heads are split by Reshape to (0, 0, A, D), where 0 copies an axis, so no node computes shapes.
 *
 * Parameters are named as in PyTorch's BERT, whatever the family; ".T" is a matrix stored transposed, as MatMul wants it, and
 * ".int8" and ".scale" are its quantized form. */
#include "onnx/onnx_encoder.h"

#include "model/steps.h"
#include "onnx/onnx_builder.h"
#include "onnx/onnx_int8.h"

typedef sv_onnx_builder builder;

static const sv_onnx_dim batch = {.name = "batch"}, sequence = {.name = "sequence"};

/* What the mask adds to the scores of padding: exp() makes it 0, whatever the score. */
#define MASKED (-10000.0f)

/* -------------------------------------------------------------------------------------------------------------- embeddings */

static const char *embed_float(builder *b, const char *ids, const float *table, const int64_t shape[2]) {
    const char *weight = sv_onnx_parameter(b->graph, "weight");
    return SV_ONNX_OP(b->graph, "Gather", sv_onnx_tensor(b->graph, weight, SV_ONNX_F32, 2, shape, table), ids);
}

/* One scale for the table. */
static const char *embed_per_tensor(builder *b, const char *ids, const float *table, const int64_t shape[2]) {
    size_t count = (size_t)(shape[0] * shape[1]);
    int8_t *q = sv_onnx_memory(b->graph, count, sizeof *q);
    if (!q)
        return "";
    const char *scale = sv_onnx_scalar(b->graph, sv_onnx_parameter(b->graph, "weight.scale"), sv_int8_tensor(table, count, q));
    const char *weight = sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, "weight.int8"), SV_ONNX_I8, 2, shape, q);
    return SV_ONNX_OP(b->graph, "DequantizeLinear", SV_ONNX_OP(b->graph, "Gather", weight, ids), scale, b->zero);
}

/* A scale for each row: steps, which are gathered as the row is, times a step. */
static const char *embed_per_row(builder *b, const char *ids, const float *table, const int64_t shape[2]) {
    size_t rows = (size_t)shape[0], columns = (size_t)shape[1];
    int8_t *q = sv_onnx_memory(b->graph, rows * columns, sizeof *q);
    int8_t *steps = sv_onnx_memory(b->graph, rows, sizeof *steps);
    if (!steps)
        return "";
    const char *step =
        sv_onnx_scalar(b->graph, sv_onnx_parameter(b->graph, "weight.step"), sv_int8_rows(table, rows, columns, q, steps));
    const char *weight = sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, "weight.int8"), SV_ONNX_I8, 2, shape, q);
    const char *column =
        sv_onnx_tensor(b->graph, sv_onnx_parameter(b->graph, "weight.steps"), SV_ONNX_I8, 2, (int64_t[]){shape[0], 1}, steps);
    const char *row = SV_ONNX_OP(b->graph, "DequantizeLinear", SV_ONNX_OP(b->graph, "Gather", weight, ids), step, b->zero);
    return SV_ONNX_OP(b->graph, "Mul", row, sv_onnx_to_float(b, SV_ONNX_OP(b->graph, "Gather", column, ids)));
}

/* A table that isn't worth quantizing: a few KB, against a node more in every call. */
#define FEW_ROWS 16

/* The rows of a table (rows, E) that `ids` names. */
static const char *embed(builder *b, const char *ids, const float *table, size_t rows) {
    int64_t shape[] = {(int64_t)rows, (int64_t)sv_weights_embedding(b->config)};
    bool per_tensor = b->options.precision == SV_ONNX_INT8_PER_TENSOR;
    if (!sv_onnx_is_int8(b) || (rows <= FEW_ROWS && !per_tensor))
        return embed_float(b, ids, table, shape);
    if (per_tensor)
        return embed_per_tensor(b, ids, table, shape);
    return embed_per_row(b, ids, table, shape);
}

/* (1, S): 0, 1, 2, ... */
static const char *places(builder *b) {
    sv_onnx_graph *graph = b->graph;
    size_t positions = b->config->positions;
    int64_t *numbers = sv_onnx_memory(graph, positions, sizeof *numbers);
    for (size_t i = 0; numbers && i < positions; i++)
        numbers[i] = (int64_t)i;
    const char *all =
        sv_onnx_tensor(graph, "embeddings.position_ids", SV_ONNX_I64, 2, (int64_t[]){1, (int64_t)positions}, numbers);
    const char *shape = SV_ONNX_OP(graph, "Shape", b->ids);
    const char *length = SV_ONNX_OP(graph, "Gather", shape, sv_onnx_axis(b, 1));
    return SV_ONNX_OP(graph, "Slice", all, sv_onnx_axis(b, 0), length, sv_onnx_axis(b, 1));
}

/* (B, S): a token's row is that of the token before it plus one, beginning at first_position; a padding token takes the row
 * before that and no place of its own. */
static const char *places_without_padding(builder *b) {
    sv_onnx_graph *graph = b->graph;
    const char *padding = sv_onnx_integers(graph, "padding_id", 1, (int64_t[]){(int64_t)b->config->padding});
    const char *base = sv_onnx_integers(graph, "padding_row", 1, (int64_t[]){(int64_t)b->config->first_position - 1});
    const char *kept = SV_ONNX_OP(graph, "Not", SV_ONNX_OP(graph, "Equal", b->ids, padding));
    const char *mask = SV_ONNX_OP(graph, "Cast", kept);
    sv_onnx_set_integer(graph, "to", SV_ONNX_I64);
    const char *counted = SV_ONNX_OP(graph, "CumSum", mask, sv_onnx_axis(b, 1));
    return SV_ONNX_OP(graph, "Add", SV_ONNX_OP(graph, "Mul", counted, mask), base);
}

static const char *position_rows(builder *b) {
    const sv_config *config = b->config;
    const sv_onnx_dim columns = {.size = (int64_t)sv_weights_embedding(config)};
    sv_onnx_scope(b->graph, "embeddings.position_embeddings");
    if (config->first_position)
        return embed(b, places_without_padding(b), b->weights->position, config->first_position + config->positions);
    const char *rows = embed(b, places(b), b->weights->position, config->positions);
    sv_onnx_shape(b->graph, rows, SV_ONNX_F32, 3, (sv_onnx_dim[]){{.size = 1}, sequence, columns});
    return rows;
}

/* word + type, where there are types. Without an input for them, all tokens have the first one. */
static const char *add_types(builder *b, const char *word) {
    sv_onnx_scope(b->graph, "embeddings.token_type_embeddings");
    const float *table = b->weights->token_type;
    if (!table)
        return word;
    const char *type = b->types ? embed(b, b->types, table, b->config->token_types)
                                : sv_onnx_vector(b, "weight", sv_weights_embedding(b->config), table);
    return SV_ONNX_OP(b->graph, "Add", word, type);
}

static const char *embeddings(builder *b) {
    sv_onnx_graph *graph = b->graph;
    const sv_config *config = b->config;
    const sv_weights *w = b->weights;
    const size_t columns = sv_weights_embedding(config);
    sv_onnx_scope(graph, "embeddings.word_embeddings");
    const char *word = embed(b, b->ids, w->word, config->vocabulary);
    const char *with_type = add_types(b, word);
    const char *position = position_rows(b);
    sv_onnx_scope(graph, "embeddings.LayerNorm");
    const char *sum = SV_ONNX_OP(graph, "Add", with_type, position);
    const char *x = sv_onnx_layernorm(b, sum, w->embedding_gamma, w->embedding_beta, columns);
    if (!config->embedding)
        return x;
    sv_onnx_scope(graph, "embeddings_project");
    return sv_onnx_linear(b, sv_onnx_float_operand(x), w->projection, w->projection_bias, config->hidden, columns);
}

/* ------------------------------------------------------------------------------------------------------------------ layers */

/* (1, A, S, S): the bias by relative position, from a table with a column for each distance. */
static const char *position_bias(builder *b) {
    sv_onnx_graph *graph = b->graph;
    const size_t heads = b->config->heads, positions = b->config->positions;
    sv_position_bias bias;
    if (graph->status == SENVEC_OK)
        graph->status = sv_position_bias_make(b->config, b->weights, graph->arena, &bias, &graph->error);
    if (graph->status != SENVEC_OK)
        return "";
    const char *table = sv_onnx_tensor(graph, sv_onnx_parameter(graph, "by_distance"), SV_ONNX_F32, 2,
                                       (int64_t[]){(int64_t)heads, (int64_t)bias.ld}, bias.bias - (positions - 1));
    const char *keys = places(b), *queries = SV_ONNX_OP(graph, "Transpose", keys);
    sv_onnx_set_integers(graph, "perm", 2, (int64_t[]){1, 0});
    const char *least = sv_onnx_integers(graph, "least_distance", 1, (int64_t[]){1 - (int64_t)positions});
    const char *distances = SV_ONNX_OP(graph, "Sub", SV_ONNX_OP(graph, "Sub", queries, keys), least);
    const char *gathered = SV_ONNX_OP(graph, "Gather", table, distances);
    sv_onnx_set_integer(graph, "axis", 1);
    return SV_ONNX_OP(graph, "Unsqueeze", gathered, sv_onnx_axis(b, 0));
}

/* (B, 1, 1, S): 0 where attention_mask is 1, MASKED where it is 0; and the bias by relative position, where there is one. */
static const char *attention_bias(builder *b) {
    sv_onnx_graph *graph = b->graph;
    sv_onnx_scope(graph, "attention_bias");
    const char *rows = SV_ONNX_OP(graph, "Unsqueeze", b->mask, sv_onnx_axis(b, 1));
    const char *heads = SV_ONNX_OP(graph, "Unsqueeze", rows, sv_onnx_axis(b, 2));
    const char *padding = SV_ONNX_OP(graph, "Sub", b->one, sv_onnx_to_float(b, heads));
    const char *mask = SV_ONNX_OP(graph, "Mul", padding, sv_onnx_scalar(graph, "masked_score", MASKED));
    if (!b->config->buckets)
        return mask;
    sv_onnx_scope(graph, "encoder.relative_attention_bias");
    return SV_ONNX_OP(graph, "Add", position_bias(b), mask);
}

/* (B, S, H) to (B, A, S, D), or with perm {0, 2, 3, 1} to (B, A, D, S). */
static const char *split_heads(builder *b, const char *x, const int64_t perm[4]) {
    const char *split = SV_ONNX_OP(b->graph, "Reshape", x, b->split_shape);
    const char *turned = SV_ONNX_OP(b->graph, "Transpose", split);
    sv_onnx_set_integers(b->graph, "perm", 4, perm);
    return turned;
}

static const char *self_attention(builder *b, size_t layer, const char *x) {
    sv_onnx_graph *graph = b->graph;
    const sv_layer_weights *w = &b->weights->layers[layer];
    size_t hidden = b->config->hidden;
    static const int64_t by_head[] = {0, 2, 1, 3}, transposed[] = {0, 2, 3, 1};

    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self", layer);
    sv_onnx_operand input = sv_onnx_quantize_operand(b, x, NULL, 0);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.query", layer);
    const char *query = split_heads(b, sv_onnx_linear(b, input, w->query, w->query_bias, hidden, hidden), by_head);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.key", layer);
    const char *key = split_heads(b, sv_onnx_linear(b, input, w->key, w->key_bias, hidden, hidden), transposed);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.value", layer);
    const char *value = split_heads(b, sv_onnx_linear(b, input, w->value, w->value_bias, hidden, hidden), by_head);

    sv_onnx_scope(graph, "encoder.layer.%zu.attention.self.mix", layer);
    const char *products = SV_ONNX_OP(graph, "MatMul", query, key);
    const char *scores = SV_ONNX_OP(graph, "Div", products, b->sqrt_d);
    const char *masked = SV_ONNX_OP(graph, "Add", scores, b->bias);
    const char *shares = SV_ONNX_OP(graph, "Softmax", masked);
    sv_onnx_set_integer(graph, "axis", -1);
    const char *mixed = SV_ONNX_OP(graph, "MatMul", shares, value);
    const char *turned = SV_ONNX_OP(graph, "Transpose", mixed);
    sv_onnx_set_integers(graph, "perm", 4, by_head);
    const char *context = SV_ONNX_OP(graph, "Reshape", turned, b->merge_shape);

    sv_onnx_scope(graph, "encoder.layer.%zu.attention.output.dense", layer);
    input = sv_onnx_quantize_operand(b, context, NULL, 0);
    const char *y = sv_onnx_linear(b, input, w->attention_out, w->attention_out_bias, hidden, hidden);
    sv_onnx_scope(graph, "encoder.layer.%zu.attention.output.LayerNorm", layer);
    return sv_onnx_layernorm(b, SV_ONNX_OP(graph, "Add", y, x), w->attention_gamma, w->attention_beta, hidden);
}

static const char *feed_forward(builder *b, size_t layer, const char *x) {
    sv_onnx_graph *graph = b->graph;
    const sv_layer_weights *w = &b->weights->layers[layer];
    size_t hidden = b->config->hidden, inner = b->config->inner;
    float *smooth = NULL;
    if (b->options.precision == SV_ONNX_INT8 && (smooth = sv_onnx_memory(graph, inner, sizeof *smooth)))
        sv_smooth_gelu(w->attention_gamma, w->attention_beta, w->up, w->up_bias, inner, hidden, smooth);

    sv_onnx_scope(graph, "encoder.layer.%zu.intermediate.dense", layer);
    if (smooth && !sv_onnx_all_finite(b, smooth, inner))
        return "";
    sv_onnx_operand input = sv_onnx_quantize_operand(b, x, NULL, 0);
    const char *up = sv_onnx_linear(b, input, w->up, w->up_bias, inner, hidden);
    const char *active = sv_onnx_activation(b, b->config->activation, up);
    sv_onnx_scope(graph, "encoder.layer.%zu.output.dense", layer);
    input = sv_onnx_quantize_operand(b, active, smooth, inner);
    const char *down = sv_onnx_linear(b, input, w->down, w->down_bias, hidden, inner);
    sv_onnx_scope(graph, "encoder.layer.%zu.output.LayerNorm", layer);
    return sv_onnx_layernorm(b, SV_ONNX_OP(graph, "Add", down, x), w->output_gamma, w->output_beta, hidden);
}

/* ----------------------------------------------------------------------------------------------------------------- encoder */

void sv_onnx_encoder(sv_onnx_graph *graph, const sv_config *config, const sv_weights *weights, sv_onnx_options options) {
    builder b = {.graph = graph, .config = config, .weights = weights, .options = options};
    b.ids = sv_onnx_input(graph, "input_ids", SV_ONNX_I64, 2, (sv_onnx_dim[]){batch, sequence});
    b.mask = sv_onnx_input(graph, "attention_mask", SV_ONNX_I64, 2, (sv_onnx_dim[]){batch, sequence});
    if (config->token_types > 1)
        b.types = sv_onnx_input(graph, "token_type_ids", SV_ONNX_I64, 2, (sv_onnx_dim[]){batch, sequence});
    sv_onnx_constants(&b);
    b.bias = attention_bias(&b);

    const char *x = embeddings(&b);
    for (size_t layer = 0; layer < config->layers; layer++) {
        x = self_attention(&b, layer, x);
        x = feed_forward(&b, layer, x);
    }
    sv_onnx_head(&b, x);
}
