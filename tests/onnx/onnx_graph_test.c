/* The writer: what it writes is read back by protobuf-c as one message, and failures are kept until the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <onnx.pb-c.h>

#include "common/file.h"
#include "onnx/onnx_graph.h"
#include "support/test_models.h"

enum { ROWS = 37, COLUMNS = 5 };

static float numbers[COLUMNS * ROWS]; /* (COLUMNS, ROWS) */

static void build(sv_onnx_graph *graph, sv_arena *arena) {
    static const sv_onnx_dim shape[] = {{.name = "batch"}, {.size = ROWS}};
    static const int8_t bytes[] = {1, -2, 3};
    sv_onnx_graph_init(graph, "test", arena);
    sv_onnx_metadata(graph, "about", "a test");
    const char *x = sv_onnx_input(graph, "x", SV_ONNX_F32, 2, shape);
    sv_onnx_scope(graph, "block.%d", 7);
    const char *weight = sv_onnx_transposed(graph, sv_onnx_parameter(graph, "weight.T"), SV_ONNX_F32, ROWS, COLUMNS, numbers);
    const char *product = SV_ONNX_OP(graph, "MatMul", x, weight);
    sv_onnx_shape(graph, product, SV_ONNX_F32, 1, shape);
    const char *parts[3];
    sv_onnx_node(graph, "DynamicQuantizeLinear", (const char *const[]){product, NULL}, 3, parts);
    sv_onnx_tensor(graph, "bytes", SV_ONNX_I8, 1, (int64_t[]){3}, bytes);
    sv_onnx_integers(graph, "axes", 2, (int64_t[]){0, -1});
    SV_ONNX_OP(graph, "LayerNormalization", parts[1], sv_onnx_scalar(graph, "half", 0.5f));
    sv_onnx_set_integer(graph, "axis", -1);
    sv_onnx_set_real(graph, "epsilon", 1e-12f);
    sv_onnx_set_integers(graph, "axes", 3, (int64_t[]){0, 2, 1});
    sv_onnx_output(graph, "y", SV_ONNX_F32, 2, shape);
}

static void test_file_reads_back(void **state) {
    (void)state;
    for (size_t i = 0; i < COLUMNS * ROWS; i++)
        numbers[i] = (float)i;
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_onnx_graph graph;
    build(&graph, &arena);
    char path[SV_MAX_PATH];
    strcpy(path, test_path("graph.onnx"));
    uint64_t bytes;
    senvec_error err;
    assert_int_equal(sv_onnx_graph_write(&graph, path, &bytes, &err), SENVEC_OK);
    sv_arena_release(&arena);

    size_t size;
    char *file = test_read(path, &size);
    assert_int_equal(size, bytes);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, (const uint8_t *)file);
    free(file);
    assert_non_null(model);
    assert_int_equal(model->opset_import[0]->version, SV_ONNX_OPSET);
    assert_string_equal(model->producer_name, "senvec");
    assert_string_equal(model->metadata_props[0]->value, "a test");
    const Onnx__GraphProto *body = model->graph;
    assert_string_equal(body->input[0]->type->tensor_type->shape->dim[0]->dim_param, "batch");
    assert_int_equal(body->input[0]->type->tensor_type->shape->dim[1]->dim_value, ROWS);

    assert_int_equal(body->n_initializer, 4);
    const Onnx__TensorProto *weight = body->initializer[0];
    assert_string_equal(weight->name, "block.7.weight.T");
    assert_int_equal(weight->dims[0], ROWS);
    assert_int_equal(weight->dims[1], COLUMNS);
    assert_int_equal(weight->raw_data.len, sizeof numbers);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        float value;
        memcpy(&value, weight->raw_data.data + i * sizeof value, sizeof value);
        assert_true(value == numbers[i % COLUMNS * ROWS + i / COLUMNS]);
    }
    assert_memory_equal(body->initializer[1]->raw_data.data, ((int8_t[]){1, -2, 3}), 3);
    assert_memory_equal(body->initializer[2]->raw_data.data, ((int64_t[]){0, -1}), 16);
    assert_int_equal(body->initializer[3]->n_dims, 0);

    assert_int_equal(body->n_node, 3);
    assert_string_equal(body->node[0]->name, "block.7/MatMul_0");
    assert_string_equal(body->node[0]->input[1], weight->name);
    assert_int_equal(body->node[1]->n_output, 3);
    assert_string_equal(body->node[2]->input[0], body->node[1]->output[1]);
    assert_string_equal(body->node[2]->output[0], "y");
    assert_int_equal(body->node[2]->attribute[0]->i, -1);
    assert_true(body->node[2]->attribute[1]->f == 1e-12f);
    assert_int_equal(body->node[2]->attribute[2]->n_ints, 3);
    assert_string_equal(body->value_info[0]->name, body->node[0]->output[0]);
    assert_string_equal(body->output[0]->name, "y");
    onnx__model_proto__free_unpacked(model, NULL);
}

/* An allocator that gives `left` blocks and then none. */
static void *limited_alloc(void *context, size_t size, size_t alignment) {
    size_t *left = context;
    return (*left)-- > 0 ? sv_default_allocator.alloc(NULL, size, alignment) : (++*left, NULL);
}

static void limited_free(void *context, void *block, size_t size) {
    (void)context;
    sv_default_allocator.free(NULL, block, size);
}

static void test_every_failed_allocation_is_reported(void **state) {
    (void)state;
    senvec_status status = SENVEC_OUT_OF_MEMORY;
    char path[SV_MAX_PATH];
    strcpy(path, test_path("limited.onnx"));
    size_t allowed = 0;
    for (; status == SENVEC_OUT_OF_MEMORY && allowed < 1000; allowed++) {
        size_t left = allowed;
        const senvec_allocator limited = {.alloc = limited_alloc, .free = limited_free, .context = &left};
        sv_arena arena;
        sv_arena_init(&arena, &limited);
        sv_onnx_graph graph;
        build(&graph, &arena);
        senvec_error err;
        status = sv_onnx_graph_write(&graph, path, NULL, &err);
        assert_int_equal(status == SENVEC_OK, sv_path_is_file(path));
        sv_arena_release(&arena);
    }
    assert_int_equal(status, SENVEC_OK);
    assert_true(allowed > 50);
}

static void test_too_large_a_file_is_refused(void **state) {
    (void)state;
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_onnx_graph graph;
    sv_onnx_graph_init(&graph, "large", &arena);
    /* The data isn't read before the size is checked. */
    sv_onnx_tensor(&graph, "huge", SV_ONNX_F32, 2, (int64_t[]){1 << 15, 1 << 15}, numbers);
    senvec_error err;
    assert_int_equal(sv_onnx_graph_write(&graph, test_path("large.onnx"), NULL, &err), SENVEC_TOO_LARGE);
    assert_false(sv_path_is_file(test_path("large.onnx")));
    sv_arena_release(&arena);
}

static void test_unwritable_places_are_named(void **state) {
    (void)state;
    sv_arena arena;
    sv_arena_init(&arena, NULL);
    sv_onnx_graph graph;
    build(&graph, &arena);
    senvec_error err;
    assert_int_equal(sv_onnx_graph_write(&graph, test_path("missing/graph.onnx"), NULL, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "missing/graph.onnx"));
    sv_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_reads_back),
        cmocka_unit_test(test_every_failed_allocation_is_reported),
        cmocka_unit_test(test_too_large_a_file_is_refused),
        cmocka_unit_test(test_unwritable_places_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
