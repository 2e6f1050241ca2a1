/* Builds an ONNX model, node by node, and writes it. Knows the file format, nothing of any model.
 *
 *     sv_onnx_graph graph;
 *     sv_onnx_graph_init(&graph, "half", &arena);
 *     const char *x = sv_onnx_input(&graph, "x", SV_ONNX_F32, 2, (sv_onnx_dim[]){{.name = "batch"}, {.size = 3}});
 *     const char *half = sv_onnx_scalar(&graph, "half", 0.5f);
 *     SV_ONNX_OP(&graph, "Mul", x, half);
 *     sv_onnx_output(&graph, "y", SV_ONNX_F32, 2, (sv_onnx_dim[]){{.name = "batch"}, {.size = 3}});
 *     SENVEC_TRY(sv_onnx_graph_write(&graph, "half.onnx", &bytes, err));
 *
 * A value is known by its name, a string that lives as long as the arena. Building never returns an error: the first failure
 * (no memory) is kept, what follows does nothing, and sv_onnx_graph_write reports it. Not thread safe. */
#ifndef SV_ONNX_ONNX_GRAPH_H
#define SV_ONNX_ONNX_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"

/* The operators' version. 17 brings LayerNormalization, and is what the ONNX of Debian 12 knows. */
#define SV_ONNX_OPSET 17

/* The numbers are the format's (TensorProto.DataType). */
typedef enum sv_onnx_type { SV_ONNX_F32 = 1, SV_ONNX_I8 = 3, SV_ONNX_I64 = 7 } sv_onnx_type;

/* One axis of a value: a size, or the name of a size that is known when the model runs. */
typedef struct sv_onnx_dim {
    const char *name; /* NULL: `size` */
    int64_t size;
} sv_onnx_dim;

typedef struct sv_onnx_graph {
    sv_arena *arena;
    senvec_status status; /* of the first failure; then `error` says more */
    senvec_error error;
    char scope[256];
    size_t steps; /* nodes in this scope */
    struct Onnx__ModelProto *model;
    struct sv_onnx_tensor *tensors; /* as many as the model's graph has initializers */
} sv_onnx_graph;

/* `arena` takes everything that is built, and must outlive the graph. There is nothing else to free. */
void sv_onnx_graph_init(sv_onnx_graph *graph, const char *name, sv_arena *arena);

/* From the arena: `count` elements of `size` bytes, zeroed; NULL after a failure. */
void *sv_onnx_memory(sv_onnx_graph *graph, size_t count, size_t size);

/* A line that readers of the file find in its metadata. */
void sv_onnx_metadata(sv_onnx_graph *graph, const char *key, const char *value);

/* Adds an input of the model. Returns `name`. */
const char *sv_onnx_input(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const sv_onnx_dim *shape);

/* Constants. The data isn't copied: it must live until the graph is written. Each returns a copy of `name`. */
const char *sv_onnx_tensor(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const int64_t *shape,
                           const void *data);
/* A matrix of shape (columns, rows) as its transpose, (rows, columns); it is turned while it is written. */
const char *sv_onnx_transposed(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rows, size_t columns,
                               const void *data);
/* These two do copy. */
const char *sv_onnx_scalar(sv_onnx_graph *graph, const char *name, float value);
const char *sv_onnx_integers(sv_onnx_graph *graph, const char *name, size_t count, const int64_t *values);

/* Sets the scope of the following nodes, printf-like: a prefix of their names. Use each scope once. */
__attribute__((format(printf, 2, 3))) void sv_onnx_scope(sv_onnx_graph *graph, const char *format, ...);

/* "<scope>.<name>": the name of a parameter of the module that the scope names. */
const char *sv_onnx_parameter(sv_onnx_graph *graph, const char *name);

/* Adds a node; its inputs are names up to a NULL. Gives it `outputs` results (at least 1) and writes their names. */
void sv_onnx_node(sv_onnx_graph *graph, const char *op, const char *const *inputs, size_t outputs, const char **results);
/* A node with one result, whose name it returns. */
const char *sv_onnx_op(sv_onnx_graph *graph, const char *op, const char *const *inputs);
#define SV_ONNX_OP(graph, op, ...) sv_onnx_op(graph, op, (const char *const[]){__VA_ARGS__, NULL})

/* Attributes of the node added last. */
void sv_onnx_set_integer(sv_onnx_graph *graph, const char *name, int64_t value);
void sv_onnx_set_real(sv_onnx_graph *graph, const char *name, float value);
void sv_onnx_set_integers(sv_onnx_graph *graph, const char *name, size_t count, const int64_t *values);

/* States the shape of a value for readers whose shape inference would lose it. */
void sv_onnx_shape(sv_onnx_graph *graph, const char *value, sv_onnx_type type, size_t rank, const sv_onnx_dim *shape);

/* Makes the (only) result of the node added last an output of the model. Returns `name`, which is the result's name from now
 * on. */
const char *sv_onnx_output(sv_onnx_graph *graph, const char *name, sv_onnx_type type, size_t rank, const sv_onnx_dim *shape);

/* Writes the model to `path`, whole or not at all, and its size to *bytes (NULL: not wanted). Errors: what went wrong while it
 * was built, TOO_LARGE (2 GB is the format's maximum), IO, OUT_OF_MEMORY. */
senvec_status sv_onnx_graph_write(sv_onnx_graph *graph, const char *path, uint64_t *bytes, senvec_error *err);

#endif
