#include "study/service_list.h"

#include <stdio.h>
#include <string.h>

#include "io/word_list.h"
#include "results/configurations.h"

static const struct {
    sv_service_kind kind;
    const char *name, *peer; /* in the files; the word of --peers that it belongs to, NULL: none */
} ready_services[] = {
    {SV_SERVICE_TORCH, "FastAPI + sentence-transformers", "torch"},
    {SV_SERVICE_ONNX, "ONNX Runtime INT8 + fixed batcher", "onnxruntime"},
    {SV_SERVICE_LLAMA, "llama-server", NULL},
};
enum { READY = sizeof ready_services / sizeof *ready_services };
/* Their words in --services. */
static const char *const ready_words[READY + 1] = {"torch", "onnx", "llama", NULL};

static senvec_status refuse(const char *text, const char *why, senvec_error *err) {
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--service '%s': %s; expected NAME=URL[,DIALECT][,MODEL]", text, why);
}

static senvec_status parse(const char *text, sv_service *out, senvec_error *err) {
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : 0;
    *out = (sv_service){.kind = SV_SERVICE_GIVEN};
    if (length == 0 || length >= sizeof out->name)
        return refuse(text, !equals ? "no name" : "a name of 1 to 63 bytes is needed", err);
    memcpy(out->name, text, length);
    for (const char *c = out->name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return refuse(text, "a control character in the name", err);
    return sv_service_address_parse(equals + 1, &out->address, err);
}

static senvec_status add(sv_service_list *list, const sv_service *service, senvec_error *err) {
    if (list->count == SV_MAX_SERVICES)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--service: at most %u services", SV_MAX_SERVICES);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, service->name) == 0)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--service: two services are called '%s'", service->name);
    list->items[list->count++] = *service;
    return SENVEC_OK;
}

senvec_status sv_service_list_make(const char *ready, const char *peers, bool llama, const char *const *given,
                                   size_t given_count, sv_service_list *out, senvec_error *err) {
    sv_service service = {.kind = SV_SERVICE_SENVEC, .name = "senvec serve"};
    const bool all = strcmp(ready, "all") == 0;
    *out = (sv_service_list){0};
    SENVEC_TRY(sv_word_list_check("--services", ready, ready_words, err));
    SENVEC_TRY(add(out, &service, err));
    for (size_t i = 0; i < READY; i++) {
        const bool here = ready_services[i].peer ? sv_peers_include(peers, ready_services[i].peer) : llama;
        if (!(all ? here : sv_word_list_has(ready, ready_words[i])))
            continue;
        service = (sv_service){.kind = ready_services[i].kind};
        snprintf(service.name, sizeof service.name, "%s", ready_services[i].name);
        SENVEC_TRY(add(out, &service, err));
    }
    for (size_t i = 0; i < given_count; i++) {
        SENVEC_TRY(parse(given[i], &service, err));
        SENVEC_TRY(add(out, &service, err));
    }
    if (out->count == 1)
        out->count = 0;
    return SENVEC_OK;
}
