/* The ONNX file: a protocol buffer whose messages onnx.proto defines (the schema as the distribution's libonnx-dev ships it;
 * the C structs are generated from it by protobuf-c when senvec is built). Format:
 * https://github.com/onnx/onnx/blob/main/docs/IR.md
 *
 * Almost all of a file is the data of its initializers, and protobuf-c packs a message that is inside of another into memory
 * first. So this file packs the small messages with it, and writes the frames around the data itself:
 *
 *     ModelProto without graph | graph: tag, size | GraphProto without initializers
 *                                                 | initializer: tag, size | TensorProto without data | raw_data: tag, size,
 * data | ...
 *
 * (fields may stand in any order in a protocol buffer, so these concatenations are the messages). The data goes from where it
 * is, perhaps the mapped weights, straight into the file. Hosts are little-endian, as the format is. */
#include "onnx/onnx_graph.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include <onnx.pb-c.h>

/* The newest file version that goes with opset 17. */
#define IR_VERSION 8
#define MAX_FILE_BYTES INT32_MAX

/* What an initializer holds. */
struct sv_onnx_tensor {
    const void *data;
    size_t element;       /* bytes */
    size_t rows, columns; /* of the result; rows 0: not turned */
};

/* --------------------------------------------------------------- memory */

void *sv_onnx_memory(sv_onnx_graph *graph, size_t count, size_t size) {
    void *memory = NULL;
    if (graph->status == SENVEC_OK)
        graph->status = sv_arena_alloc(graph->arena, count, size, "an ONNX graph", &memory, &graph->error);
    return graph->status == SENVEC_OK ? memory : NULL;
}

static char *copy_string(sv_onnx_graph *graph, const char *text) {
    const char *copy = NULL;
    if (graph->status == SENVEC_OK)
        graph->status = sv_arena_string(graph->arena, text, strlen(text), &copy, &graph->error);
    return graph->status == SENVEC_OK ? (char *)copy : (char *)"";
}

/* Makes room for one more element in an array that has room for the next power of two. */
static void *grow(sv_onnx_graph *graph, void *array, size_t count, size_t size) {
    if (count & (count - 1))
        return graph->status == SENVEC_OK ? array : NULL;
    void *grown = sv_onnx_memory(graph, count ? 2 * count : 1, size);
    if (grown && count)
        memcpy(grown, array, count * size);
    return grown;
}

#define APPEND(graph, array, count, item)                                                                                      \
    do {                                                                                                                       \
        void *grown_ = grow(graph, array, count, sizeof *(array));                                                             \
        if (grown_) {                                                                                                          \
            (array) = grown_;                                                                                                  \
            (array)[(count)++] = item;                                                                                         \
        }                                                                                                                      \
    } while (0)

/* ------------------------------------------------------- model and values */

static void init_model(sv_onnx_graph *graph, const char *name) {
    graph->model = sv_onnx_memory(graph, 1, sizeof *graph->model);
    Onnx__GraphProto *body = sv_onnx_memory(graph, 1, sizeof *body);
    Onnx__OperatorSetIdProto *opset = sv_onnx_memory(graph, 1, sizeof *opset);
    if (!opset)
        return;
    onnx__model_proto__init(graph->model);
    onnx__graph_proto__init(body);
    onnx__operator_set_id_proto__init(opset);
    body->name = copy_string(graph, name);
    opset->domain = (char *)"";
    opset->has_version = true;
    opset->version = SV_ONNX_OPSET;
    graph->model->has_ir_version = true;
    graph->model->ir_version = IR_VERSION;
    graph->model->producer_name = (char *)"senvec";
    graph->model->producer_version = (char *)senvec_version();
    graph->model->graph = body;
    APPEND(graph, graph->model->opset_import, graph->model->n_opset_import, opset);
}

void sv_onnx_graph_init(sv_onnx_graph *graph, const char *name, sv_arena *arena) {
    *graph = (sv_onnx_graph){.arena = arena};
    init_model(graph, name);
}

void sv_onnx_metadata(sv_onnx_graph *graph, const char *key, const char *value) {
    Onnx__StringStringEntryProto *entry = sv_onnx_memory(graph, 1, sizeof *entry);
    if (!entry)
        return;
    onnx__string_string_entry_proto__init(entry);
    entry->key = copy_string(graph, key);
    entry->value = copy_string(graph, value);
    APPEND(graph, graph->model->metadata_props, graph->model->n_metadata_props, entry);
}

static Onnx__TensorShapeProto *make_shape(sv_onnx_graph *graph, size_t rank, const sv_onnx_dim *dims) {
    Onnx__TensorShapeProto *shape = sv_onnx_memory(graph, 1, sizeof *shape);
    if (!shape)
        return NULL;
    onnx__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = sv_onnx_memory(graph, 1, sizeof *dim);
        if (!dim)
            return NULL;
        onnx__tensor_shape_proto__dimension__init(dim);
        if (dims[i].name) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = copy_string(graph, dims[i].name);
        } else {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[i].size;
        }
        APPEND(graph, shape->dim, shape->n_dim, dim);
    }
    return shape;
}

/* Name, type and shape of a value; NULL after a failure. */
static Onnx__ValueInfoProto *describe(sv_onnx_graph *graph, const char *name, sv_onnx_type element, size_t rank,
                                      const sv_onnx_dim *dims) {
    Onnx__ValueInfoProto *value = sv_onnx_memory(graph, 1, sizeof *value);
    Onnx__TypeProto *type = sv_onnx_memory(graph, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = sv_onnx_memory(graph, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = make_shape(graph, rank, dims);
    if (!shape)
        return NULL;
    onnx__value_info_proto__init(value);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = true;
    tensor->elem_type = (int32_t)element;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    value->name = copy_string(graph, name);
    value->type = type;
    return value;
}

const char *sv_onnx_input(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const sv_onnx_dim *shape) {
    Onnx__ValueInfoProto *value = describe(graph, name, type, rank, shape);
    if (!value)
        return "";
    APPEND(graph, graph->model->graph->input, graph->model->graph->n_input, value);
    return value->name;
}

void sv_onnx_shape(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const sv_onnx_dim *shape) {
    Onnx__ValueInfoProto *value = describe(graph, name, type, rank, shape);
    if (value)
        APPEND(graph, graph->model->graph->value_info, graph->model->graph->n_value_info, value);
}

/* -------------------------------------------------------------- constants */

static size_t element_size(sv_onnx_type type) {
    switch (type) {
    case SV_ONNX_F32:
        return sizeof(float);
    case SV_ONNX_I8:
        return sizeof(int8_t);
    case SV_ONNX_I64:
        return sizeof(int64_t);
    }
    assert(!"a type of sv_onnx_type");
    return 0;
}

static const char *add_tensor(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const int64_t *shape,
                              struct sv_onnx_tensor tensor) {
    Onnx__TensorProto *proto = sv_onnx_memory(graph, 1, sizeof *proto);
    if (!proto)
        return "";
    onnx__tensor_proto__init(proto);
    proto->name = copy_string(graph, name);
    proto->has_data_type = true;
    proto->data_type = (int32_t)type;
    tensor.element = element_size(type);
    size_t bytes = tensor.element;
    for (size_t i = 0; i < rank; i++) {
        assert(shape[i] > 0);
        bytes *= (size_t)shape[i]; /* the caller has the data, so this fits */
        APPEND(graph, proto->dims, proto->n_dims, shape[i]);
    }
    proto->has_raw_data = true;
    proto->raw_data = (ProtobufCBinaryData){.len = bytes, .data = (uint8_t *)tensor.data};
    size_t count = graph->status == SENVEC_OK ? graph->model->graph->n_initializer : 0;
    APPEND(graph, graph->tensors, count, tensor);
    APPEND(graph, graph->model->graph->initializer, graph->model->graph->n_initializer, proto);
    return proto->name;
}

const char *sv_onnx_tensor(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const int64_t *shape,
                           const void *data) {
    return add_tensor(graph, name, type, rank, shape, (struct sv_onnx_tensor){.data = data});
}

const char *sv_onnx_transposed(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rows, size_t columns,
                               const void *data) {
    return add_tensor(graph, name, type, 2, (int64_t[]){(int64_t)rows, (int64_t)columns},
                      (struct sv_onnx_tensor){.data = data, .rows = rows, .columns = columns});
}

const char *sv_onnx_scalar(sv_onnx_graph *graph, const char *name, float value) {
    float *copy = sv_onnx_memory(graph, 1, sizeof *copy);
    if (!copy)
        return "";
    *copy = value;
    return sv_onnx_tensor(graph, name, SV_ONNX_F32, 0, NULL, copy);
}

const char *sv_onnx_integers(sv_onnx_graph *graph, const char *name, size_t count, const int64_t *values) {
    int64_t *copy = sv_onnx_memory(graph, count, sizeof *copy);
    if (!copy)
        return "";
    memcpy(copy, values, count * sizeof *copy);
    return sv_onnx_tensor(graph, name, SV_ONNX_I64, 1, &(int64_t){(int64_t)count}, copy);
}

/* ------------------------------------------------------------------ nodes */

void sv_onnx_scope(sv_onnx_graph *graph, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(graph->scope, sizeof graph->scope, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof graph->scope);
    (void)length;
    graph->steps = 0;
}

const char *sv_onnx_parameter(sv_onnx_graph *graph, const char *name) {
    char full[sizeof graph->scope + 64];
    snprintf(full, sizeof full, "%s.%s", graph->scope, name);
    return copy_string(graph, full);
}

void sv_onnx_node(sv_onnx_graph *graph, const char *op, const char *const *inputs, size_t outputs, const char **results) {
    for (size_t i = 0; i < outputs; i++)
        results[i] = "";
    Onnx__NodeProto *node = sv_onnx_memory(graph, 1, sizeof *node);
    if (!node)
        return;
    onnx__node_proto__init(node);
    char name[sizeof graph->scope + 96];
    int length = snprintf(name, sizeof name, "%s/%s_%zu", graph->scope, op, graph->steps++);
    node->name = copy_string(graph, name);
    node->op_type = copy_string(graph, op);
    for (; *inputs; inputs++)
        APPEND(graph, node->input, node->n_input, copy_string(graph, *inputs));
    for (size_t i = 0; i < outputs; i++) {
        if (outputs > 1)
            snprintf(name + length, sizeof name - (size_t)length, ":%zu", i);
        char *result = copy_string(graph, name);
        APPEND(graph, node->output, node->n_output, result);
        results[i] = result;
    }
    APPEND(graph, graph->model->graph->node, graph->model->graph->n_node, node);
}

const char *sv_onnx_op(sv_onnx_graph *graph, const char *op, const char *const *inputs) {
    const char *result;
    sv_onnx_node(graph, op, inputs, 1, &result);
    return result;
}

/* The node added last; NULL after a failure. */
static Onnx__NodeProto *last_node(sv_onnx_graph *graph) {
    if (graph->status != SENVEC_OK)
        return NULL;
    assert(graph->model->graph->n_node > 0);
    return graph->model->graph->node[graph->model->graph->n_node - 1];
}

static Onnx__AttributeProto *add_attribute(sv_onnx_graph *graph, const char *name, Onnx__AttributeProto__AttributeType type) {
    Onnx__NodeProto *node = last_node(graph);
    Onnx__AttributeProto *attribute = sv_onnx_memory(graph, 1, sizeof *attribute);
    if (!attribute)
        return NULL;
    onnx__attribute_proto__init(attribute);
    attribute->name = copy_string(graph, name);
    attribute->has_type = true;
    attribute->type = type;
    APPEND(graph, node->attribute, node->n_attribute, attribute);
    return attribute;
}

void sv_onnx_set_integer(sv_onnx_graph *graph, const char *name, int64_t value) {
    Onnx__AttributeProto *attribute = add_attribute(graph, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!attribute)
        return;
    attribute->has_i = true;
    attribute->i = value;
}

void sv_onnx_set_real(sv_onnx_graph *graph, const char *name, float value) {
    Onnx__AttributeProto *attribute = add_attribute(graph, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!attribute)
        return;
    attribute->has_f = true;
    attribute->f = value;
}

void sv_onnx_set_integers(sv_onnx_graph *graph, const char *name, size_t count, const int64_t *values) {
    Onnx__AttributeProto *attribute = add_attribute(graph, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    for (size_t i = 0; attribute && i < count; i++)
        APPEND(graph, attribute->ints, attribute->n_ints, values[i]);
}

const char *sv_onnx_output(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const sv_onnx_dim *shape) {
    Onnx__NodeProto *node = last_node(graph);
    Onnx__ValueInfoProto *value = describe(graph, name, type, rank, shape);
    if (!value)
        return "";
    assert(node->n_output == 1);
    node->output[0] = value->name;
    APPEND(graph, graph->model->graph->output, graph->model->graph->n_output, value);
    return value->name;
}

/* ---------------------------------------------------------------- writing */

/* protobuf-c's way out of memory: appends to a file. Write errors are noticed when the file is committed. */
typedef struct stream_buffer {
    ProtobufCBuffer base;
    FILE *stream;
    size_t bytes; /* appended so far */
} stream_buffer;

static void append_to_stream(ProtobufCBuffer *buffer, size_t size, const uint8_t *bytes) {
    stream_buffer *out = (stream_buffer *)buffer;
    fwrite(bytes, 1, size, out->stream);
    out->bytes += size;
}

/* protobuf-c packs what is inside of a message in memory, and drops bytes silently where there is none. */
static senvec_status write_message(FILE *stream, const ProtobufCMessage *message, senvec_error *err) {
    stream_buffer buffer = {.base.append = append_to_stream, .stream = stream};
    protobuf_c_message_pack_to_buffer(message, &buffer.base);
    if (buffer.bytes != protobuf_c_message_get_packed_size(message))
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "an ONNX graph: its nodes could not be packed; free memory");
    return SENVEC_OK;
}

/* A length-delimited field's first bytes: tag and size as base-128 numbers, low digits first. Returns how many; `stream` NULL
 * only counts. */
static size_t write_frame(FILE *stream, const ProtobufCMessageDescriptor *message, const char *field, uint64_t size) {
    const ProtobufCFieldDescriptor *facts = protobuf_c_message_descriptor_get_field_by_name(message, field);
    assert(facts && facts->id < 16);
    uint8_t bytes[16] = {(uint8_t)(facts->id << 3 | 2)};
    size_t count = 1;
    for (; size >= 0x80; size >>= 7)
        bytes[count++] = (uint8_t)(size | 0x80);
    bytes[count++] = (uint8_t)size;
    if (stream)
        fwrite(bytes, 1, count, stream);
    return count;
}

/* Rows of the turned matrix that are gathered before they are written: a cache line of floats of each column. */
#define STRIP 16

static void write_turned(FILE *stream, const struct sv_onnx_tensor *tensor, uint8_t *strip) {
    size_t element = tensor->element, row_bytes = tensor->columns * element;
    const uint8_t *data = tensor->data; /* (columns, rows) */
    for (size_t row = 0; row < tensor->rows; row += STRIP) {
        size_t rows = tensor->rows - row < STRIP ? tensor->rows - row : STRIP;
        for (size_t column = 0; column < tensor->columns; column++)
            for (size_t i = 0; i < rows; i++)
                memcpy(strip + i * row_bytes + column * element, data + (column * tensor->rows + row + i) * element, element);
        fwrite(strip, row_bytes, rows, stream);
    }
}

static senvec_status write_tensors(sv_onnx_graph *graph, FILE *stream, senvec_error *err) {
    const Onnx__GraphProto *body = graph->model->graph;
    size_t widest = 0;
    for (size_t i = 0; i < body->n_initializer; i++) {
        const struct sv_onnx_tensor *tensor = &graph->tensors[i];
        size_t row_bytes = tensor->rows ? tensor->columns * tensor->element : 0;
        widest = row_bytes > widest ? row_bytes : widest;
    }
    void *strip;
    SENVEC_TRY(sv_arena_alloc(graph->arena, widest, STRIP, "a strip of a matrix", &strip, err));
    for (size_t i = 0; i < body->n_initializer; i++) {
        Onnx__TensorProto head = *body->initializer[i];
        head.has_raw_data = false;
        write_frame(stream, body->base.descriptor, "initializer", onnx__tensor_proto__get_packed_size(body->initializer[i]));
        SENVEC_TRY(write_message(stream, &head.base, err));
        write_frame(stream, head.base.descriptor, "raw_data", head.raw_data.len);
        if (graph->tensors[i].rows)
            write_turned(stream, &graph->tensors[i], strip);
        else
            fwrite(head.raw_data.data, 1, head.raw_data.len, stream);
    }
    return SENVEC_OK;
}

senvec_status sv_onnx_graph_write(sv_onnx_graph *graph, const char *path, uint64_t *bytes, senvec_error *err) {
    if (graph->status != SENVEC_OK)
        return sv_fail(err, graph->status, 0, "%s: %s", path, graph->error.message);
    const Onnx__GraphProto *body = graph->model->graph;
    Onnx__ModelProto model = *graph->model;
    model.graph = NULL;
    Onnx__GraphProto frame = *body;
    frame.n_initializer = 0;
    uint64_t body_bytes = onnx__graph_proto__get_packed_size(body);
    uint64_t file_bytes =
        onnx__model_proto__get_packed_size(&model) + write_frame(NULL, model.base.descriptor, "graph", body_bytes) + body_bytes;
    if (file_bytes > MAX_FILE_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: would have %llu bytes; an ONNX file holds at most %d", path,
                       (unsigned long long)file_bytes, MAX_FILE_BYTES);

    sv_atomic_file file;
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    senvec_status status = write_message(file.stream, &model.base, err);
    write_frame(file.stream, model.base.descriptor, "graph", body_bytes);
    if (status == SENVEC_OK)
        status = write_message(file.stream, &frame.base, err);
    if (status == SENVEC_OK)
        status = write_tensors(graph, file.stream, err);
    assert(status != SENVEC_OK || ferror(file.stream) || (uint64_t)ftell(file.stream) == file_bytes);
    if (status == SENVEC_OK)
        status = sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    if (status == SENVEC_OK && bytes)
        *bytes = file_bytes;
    return status;
}
