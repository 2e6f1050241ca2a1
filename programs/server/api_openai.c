/* OpenAI's API: POST /v1/embeddings and GET /v1/models. */
#include <string.h>

#include "server/apis.h"
#include "server/inputs.h"
#include "server/vectors.h"

static const char *type_of(unsigned status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    default:
        return status < 500 ? "invalid_request_error" : "server_error";
    }
}

static void write_error(sv_bytes *answer, unsigned status, const char *message, size_t length) {
    sv_bytes_text(answer, "{\"error\":{\"message\":");
    sv_bytes_string(answer, message, length);
    sv_bytes_print(answer, ",\"type\":\"%s\",\"param\":null,\"code\":%u}}", type_of(status), status);
}

const sv_dialect sv_openai = {write_error};

static bool read_encoding(sv_exchange *exchange) {
    const json_t *value = json_object_get(exchange->root, "encoding_format");
    if (!value || json_is_null(value))
        return true;
    const char *name = json_string_value(value);
    if (name && strcmp(name, "base64") == 0) {
        exchange->encoding = SV_ENCODING_BASE64;
    } else if (!name || strcmp(name, "float") != 0) {
        sv_exchange_fail(exchange, 400, "encoding_format must be \"float\" or \"base64\"");
        return false;
    }
    return true;
}

/* Users of one application are clients of their own. */
static bool read_user(sv_exchange *exchange) {
    const json_t *value = json_object_get(exchange->root, "user");
    if (!value || json_is_null(value))
        return true;
    if (!json_is_string(value)) {
        sv_exchange_fail(exchange, 400, "user must be a string");
        return false;
    }
    for (const char *c = json_string_value(value); *c; c++)
        exchange->client = (exchange->client ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    return true;
}

void sv_openai_begin(sv_exchange *exchange) {
    if (sv_exchange_parse(exchange) && sv_inputs_dimensions(exchange) && read_encoding(exchange) && read_user(exchange))
        sv_inputs_texts(exchange, "input");
}

void sv_openai_finish(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    const char *model = exchange->server->model_name;
    sv_vectors_cut(exchange);
    if (sv_vectors_write_raw(exchange))
        return;
    sv_bytes_text(answer, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < exchange->count; i++) {
        sv_bytes_print(answer, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i);
        if (exchange->encoding == SV_ENCODING_BASE64)
            sv_bytes_base64(answer, sv_vectors_at(exchange, i), exchange->dimensions);
        else
            sv_bytes_floats(answer, sv_vectors_at(exchange, i), exchange->dimensions);
        sv_bytes_text(answer, "}");
    }
    sv_bytes_text(answer, "],\"model\":");
    sv_bytes_string(answer, model, strlen(model));
    unsigned long long tokens = exchange->request.stats.tokens;
    sv_bytes_print(answer, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}", tokens, tokens);
}

static void write_model(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    const char *model = exchange->server->model_name;
    sv_bytes_text(answer, "{\"id\":");
    sv_bytes_string(answer, model, strlen(model));
    sv_bytes_print(answer, ",\"object\":\"model\",\"created\":%.0f,\"owned_by\":\"senvec\"}", exchange->server->opened_at);
}

void sv_openai_models(sv_exchange *exchange) {
    exchange->status = 200;
    sv_bytes_text(&exchange->answer, "{\"object\":\"list\",\"data\":[");
    write_model(exchange);
    sv_bytes_text(&exchange->answer, "]}");
}

void sv_openai_model(sv_exchange *exchange) {
    const char *asked = exchange->path + strlen("/v1/models/");
    if (strcmp(asked, exchange->server->model_name) != 0) {
        sv_exchange_fail(exchange, 404, "there is no model '%s' here; the one that is served is '%s'", asked,
                         exchange->server->model_name);
        return;
    }
    exchange->status = 200;
    write_model(exchange);
}
