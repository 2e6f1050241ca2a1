/* OpenAI's API: POST /v1/embeddings and GET /v1/models. */
#include <string.h>

#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"
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

/* Users of one application are clients of their own. */
static bool read_user(sv_exchange *exchange) {
    const char *user = "";
    if (!sv_inputs_string(exchange, "user", &user))
        return false;
    for (const char *c = user; *c; c++)
        exchange->client = (exchange->client ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    return true;
}

static void write_text(sv_exchange *exchange, size_t i, sv_bytes *to) {
    sv_bytes_text(to, i ? "," : "{\"object\":\"list\",\"data\":[");
    sv_bytes_print(to, "{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i);
    sv_vectors_write(exchange, i, exchange->type, exchange->base64, to);
    sv_bytes_text(to, "}");
}

static void finish(sv_exchange *exchange) {
    sv_bytes *answer = &exchange->answer;
    sv_bytes_text(answer, "],\"model\":");
    sv_bytes_string(answer, exchange->model, strlen(exchange->model));
    unsigned long long tokens = exchange->request.stats.tokens;
    sv_bytes_print(answer, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}", tokens, tokens);
}

void sv_openai_begin(sv_exchange *exchange) {
    exchange->write_text = write_text;
    exchange->finish = finish;
    if (!sv_exchange_parse(exchange))
        return;
    if (sv_members_of_vectors(exchange, NULL) && read_user(exchange) &&
        sv_inputs_texts(exchange, "input", SV_INPUT_IDS | SV_INPUT_OBJECTS))
        sv_inputs_check_lengths(exchange);
}

static void write_model(sv_exchange *exchange, const char *name) {
    sv_bytes *answer = &exchange->answer;
    sv_bytes_text(answer, "{\"id\":");
    sv_bytes_string(answer, name, strlen(name));
    sv_bytes_print(answer, ",\"object\":\"model\",\"created\":%.0f,\"owned_by\":\"senvec\"}", exchange->server->opened_at);
}

void sv_openai_models(sv_exchange *exchange) {
    const sv_served_list *list = &exchange->server->served;
    const char *comma = "[";
    exchange->status = 200;
    sv_bytes_text(&exchange->answer, "{\"object\":\"list\",\"data\":");
    for (size_t m = 0; m < list->count; m++) {
        const sv_server_names *names = &list->items[m].names;
        for (size_t i = 0; i < names->count; i++) {
            sv_bytes_text(&exchange->answer, comma);
            comma = ",";
            write_model(exchange, names->items[i]);
        }
    }
    sv_bytes_text(&exchange->answer, "]}");
}

void sv_openai_model(sv_exchange *exchange) {
    const char *asked = strstr(exchange->path, "models/") + strlen("models/"), *name;
    char all[600];
    if (!sv_served_find(exchange->server, asked, &name)) {
        sv_served_name_all(exchange->server, all, sizeof all);
        sv_exchange_fail(exchange, 404, "there is no model '%s' here; there is %s", asked, all);
        return;
    }
    exchange->status = 200;
    write_model(exchange, name);
}
