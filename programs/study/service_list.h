/* Which embedding services a study asks over HTTP: `senvec serve`, peers' services that it starts, and the reader's own. */
#ifndef SV_STUDY_SERVICE_LIST_H
#define SV_STUDY_SERVICE_LIST_H

#include "common/limits.h"
#include "loadgen/service_address.h"

typedef enum sv_service_kind {
    SV_SERVICE_SENVEC, /* `senvec serve`, started by the study */
    SV_SERVICE_TORCH,  /* peers/serve.py torch, the same */
    SV_SERVICE_ONNX,   /* peers/serve.py onnx, the same */
    SV_SERVICE_LLAMA,  /* llama-server, the same */
    SV_SERVICE_GIVEN,  /* it runs already; --service */
} sv_service_kind;

typedef struct sv_service {
    sv_service_kind kind;
    char name[64]; /* the key in the files */
    /* Of a given one; the others are in OpenAI's dialect and listen where they say. Without a model's name: the study's. */
    sv_service_address address;
} sv_service;

typedef struct sv_service_list {
    sv_service items[SV_MAX_SERVICES];
    size_t count;
} sv_service_list;

/* What the reader wants: `ready` is "all" (those that come with senvec, of the peers in `peers`), "none" or some of
 * torch,onnx,llama; `given` (given_count) is NAME=URL[,DIALECT][,MODEL]. `senvec serve` comes first, unless there is nothing to
 * set it beside: then the list is empty. `llama`: whether llama-server is installed, without which "all" leaves it out. Errors:
 * INVALID_ARGUMENT (what is wrong with which). */
senvec_status sv_service_list_make(const char *ready, const char *peers, bool llama, const char *const *given,
                                   size_t given_count, sv_service_list *out, senvec_error *err);

#endif
