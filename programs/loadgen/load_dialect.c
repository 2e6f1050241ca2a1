#include "loadgen/load_dialect.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base64.h"

const char *const sv_load_dialect_choices[] = {
    [SV_LOAD_DIALECT_OPENAI] = "openai",
    [SV_LOAD_DIALECT_OPENAI_BASE64] = "openai-base64",
    [SV_LOAD_DIALECT_TEI] = "tei",
    [SV_LOAD_DIALECT_OLLAMA] = "ollama",
    NULL,
};

const char *sv_load_dialect_path(sv_load_dialect dialect) {
    switch (dialect) {
    case SV_LOAD_DIALECT_TEI:
        return "/embed";
    case SV_LOAD_DIALECT_OLLAMA:
        return "/api/embed";
    default:
        return "/v1/embeddings";
    }
}

size_t sv_load_dialect_head(sv_load_dialect dialect, const char *model, char *out, size_t size) {
    int length;
    if (dialect == SV_LOAD_DIALECT_TEI)
        length = snprintf(out, size, "{\"truncate\":true,\"inputs\":["); /* TEI refuses texts that are too long otherwise */
    else if (dialect == SV_LOAD_DIALECT_OPENAI_BASE64)
        length = snprintf(out, size, "{\"model\":%s,\"encoding_format\":\"base64\",\"input\":[", model);
    else
        length = snprintf(out, size, "{\"model\":%s,\"input\":[", model);
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

static const json_t *vector_of(sv_load_dialect dialect, const json_t *list, size_t index) {
    const json_t *item = json_array_get(list, index);
    if (dialect != SV_LOAD_DIALECT_OPENAI && dialect != SV_LOAD_DIALECT_OPENAI_BASE64)
        return item;
    const json_t *position = json_object_get(item, "index");
    return json_is_integer(position) && (size_t)json_integer_value(position) == index ? json_object_get(item, "embedding")
                                                                                      : NULL;
}

/* Numbers, or characters, of a vector; 0: it is none. */
static size_t vector_length(sv_load_dialect dialect, const json_t *vector) {
    if (dialect == SV_LOAD_DIALECT_OPENAI_BASE64)
        return json_string_length(vector);
    for (size_t i = 0; i < json_array_size(vector); i++)
        if (!json_is_number(json_array_get(vector, i)))
            return 0;
    return json_array_size(vector);
}

static const json_t *vectors_of(sv_load_dialect dialect, const json_t *root) {
    return dialect == SV_LOAD_DIALECT_TEI ? root
                                          : json_object_get(root, dialect == SV_LOAD_DIALECT_OLLAMA ? "embeddings" : "data");
}

bool sv_load_dialect_check(sv_load_dialect dialect, const char *body, size_t length, size_t texts, const char **why) {
    json_t *root = json_loadb(body, length, 0, NULL);
    const json_t *list = vectors_of(dialect, root);
    *why = NULL;
    if (!root)
        *why = "the body is no JSON";
    else if (!json_is_array(list))
        *why = "the body has no list of vectors";
    else if (json_array_size(list) != texts)
        *why = "the body has another number of vectors than of texts";
    size_t dimensions = 0;
    for (size_t i = 0; i < texts && !*why; i++) {
        size_t numbers = vector_length(dialect, vector_of(dialect, list, i));
        if (numbers == 0 || (i > 0 && numbers != dimensions))
            *why = "a vector is missing, empty, out of order or of another length than the first";
        dimensions = numbers;
    }
    json_decref(root);
    return !*why;
}

/* Characters of base64, or numbers, that make `dimensions` floats. */
static bool read_vector(const json_t *vector, float *out, size_t dimensions) {
    if (!json_is_string(vector)) {
        for (size_t j = 0; j < dimensions; j++)
            out[j] = (float)json_number_value(json_array_get(vector, j));
        return true;
    }
    const size_t length = json_string_length(vector);
    char *bytes = malloc(length);
    const bool right =
        bytes && sv_base64_decode(json_string_value(vector), length, bytes) == (ssize_t)(dimensions * sizeof *out);
    if (right)
        memcpy(out, bytes, dimensions * sizeof *out);
    free(bytes);
    return right;
}

/* Of base64: as many whole floats as the characters hold without the padding. */
static size_t dimensions_of(const json_t *vector) {
    if (!json_is_string(vector))
        return json_array_size(vector);
    const char *text = json_string_value(vector);
    size_t length = json_string_length(vector);
    while (length > 0 && text[length - 1] == '=')
        length--;
    return length * 3 / 4 / sizeof(float);
}

bool sv_load_dialect_vectors(sv_load_dialect dialect, const char *body, size_t length, size_t texts, float **out,
                             size_t *dimensions) {
    json_t *root = json_loadb(body, length, 0, NULL);
    const json_t *list = vectors_of(dialect, root);
    const size_t numbers = dimensions_of(vector_of(dialect, list, 0));
    float *vectors = texts && numbers ? calloc(texts * numbers, sizeof *vectors) : NULL;
    bool right = vectors;
    for (size_t i = 0; right && i < texts; i++)
        right = read_vector(vector_of(dialect, list, i), vectors + i * numbers, numbers);
    json_decref(root);
    if (!right) {
        free(vectors);
        return false;
    }
    *out = vectors;
    *dimensions = numbers;
    return true;
}
