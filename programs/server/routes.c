/* The routes, in one table. */
#include "server/routes.h"

extern const char sv_openapi_json[], sv_try_page[];
extern const size_t sv_openapi_json_size, sv_try_page_size;

static void metrics(sv_exchange *exchange) {
    exchange->status = 200;
    exchange->content_type = "text/plain; version=0.0.4; charset=utf-8";
    sv_server_metrics_write(exchange->server, &exchange->answer);
}

static void openapi(sv_exchange *exchange) {
    exchange->status = 200;
    sv_bytes_put(&exchange->answer, sv_openapi_json, sv_openapi_json_size);
}

static void page(sv_exchange *exchange) {
    exchange->status = 200;
    exchange->content_type = "text/html; charset=utf-8";
    sv_bytes_put(&exchange->answer, sv_try_page, sv_try_page_size);
}

const sv_route sv_routes[] = {
    {"POST", "/v1/embeddings", SV_DIALECT_OPENAI, false, true, sv_openai_begin, sv_openai_finish},
    {"POST", "/embeddings", SV_DIALECT_OPENAI, false, true, sv_openai_begin, sv_openai_finish},
    {"GET", "/v1/models", SV_DIALECT_OPENAI, false, false, sv_openai_models, NULL},
    {"GET", "/v1/models/*", SV_DIALECT_OPENAI, false, false, sv_openai_model, NULL},
    {"POST", "/embed", SV_DIALECT_TEI, false, true, sv_tei_embed_begin, sv_tei_embed_finish},
    {"POST", "/", SV_DIALECT_TEI, false, true, sv_tei_embed_begin, sv_tei_embed_finish},
    {"POST", "/similarity", SV_DIALECT_TEI, false, true, sv_tei_similarity_begin, sv_tei_similarity_finish},
    {"POST", "/tokenize", SV_DIALECT_TEI, false, false, sv_tei_tokenize, NULL},
    {"GET", "/info", SV_DIALECT_TEI, false, false, sv_tei_info, NULL},
    {"GET", "/health", SV_DIALECT_TEI, true, false, sv_tei_health, NULL},
    {"GET", "/ping", SV_DIALECT_TEI, true, false, sv_tei_health, NULL},
    {"POST", "/api/embed", SV_DIALECT_OLLAMA, false, true, sv_ollama_embed_begin, sv_ollama_embed_finish},
    {"POST", "/api/embeddings", SV_DIALECT_OLLAMA, false, true, sv_ollama_embeddings_begin, sv_ollama_embeddings_finish},
    {"GET", "/api/tags", SV_DIALECT_OLLAMA, false, false, sv_ollama_tags, NULL},
    {"GET", "/api/version", SV_DIALECT_OLLAMA, false, false, sv_ollama_version, NULL},
    {"GET", "/metrics", SV_DIALECT_TEI, true, false, metrics, NULL},
    {"GET", "/openapi.json", SV_DIALECT_OPENAI, true, false, openapi, NULL},
    {"GET", "/", SV_DIALECT_OPENAI, true, false, page, NULL},
    {0},
};
_Static_assert(sizeof sv_routes / sizeof sv_routes[0] <= SV_METRIC_ROUTES, "each route is counted");
