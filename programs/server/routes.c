/* The routes, in one table. */
#include "server/routes.h"

#include <string.h>

#include "server/apis.h"

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
    {"POST", "/v1/embeddings", &sv_openai, false, true, sv_openai_begin, sv_openai_finish},
    {"POST", "/embeddings", &sv_openai, false, true, sv_openai_begin, sv_openai_finish},
    {"GET", "/v1/models", &sv_openai, false, false, sv_openai_models, NULL},
    {"GET", "/v1/models/*", &sv_openai, false, false, sv_openai_model, NULL},
    {"POST", "/embed", &sv_tei, false, true, sv_tei_embed_begin, sv_tei_embed_finish},
    {"POST", "/", &sv_tei, false, true, sv_tei_embed_begin, sv_tei_embed_finish},
    {"POST", "/similarity", &sv_tei, false, true, sv_tei_similarity_begin, sv_tei_similarity_finish},
    {"POST", "/tokenize", &sv_tei, false, false, sv_tei_tokenize, NULL},
    {"GET", "/info", &sv_tei, false, false, sv_tei_info, NULL},
    {"GET", "/health", &sv_tei, true, false, sv_tei_health, NULL},
    {"GET", "/ping", &sv_tei, true, false, sv_tei_health, NULL},
    {"POST", "/api/embed", &sv_ollama, false, true, sv_ollama_embed_begin, sv_ollama_embed_finish},
    {"POST", "/api/embeddings", &sv_ollama, false, true, sv_ollama_embeddings_begin, sv_ollama_embeddings_finish},
    {"GET", "/api/tags", &sv_ollama, false, false, sv_ollama_tags, NULL},
    {"GET", "/api/version", &sv_ollama, false, false, sv_ollama_version, NULL},
    {"GET", "/metrics", &sv_tei, true, false, metrics, NULL},
    {"GET", "/openapi.json", &sv_openai, true, false, openapi, NULL},
    {"GET", "/", &sv_openai, true, false, page, NULL},
    {0},
};
_Static_assert(sizeof sv_routes / sizeof sv_routes[0] <= SV_METRIC_ROUTES, "each route is counted");

static bool path_matches(const sv_route *route, const char *path) {
    size_t length = strlen(route->path);
    if (route->path[length - 1] == '*')
        return strncmp(route->path, path, length - 1) == 0 && path[length - 1];
    return strcmp(route->path, path) == 0;
}

const sv_route *sv_route_find(const char *method, const char *path, const char **allowed) {
    *allowed = NULL;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (const sv_route *route = sv_routes; route->method; route++) {
        if (!path_matches(route, path))
            continue;
        if (strcmp(route->method, method) == 0)
            return route;
        *allowed = route->method;
    }
    return NULL;
}

const sv_dialect *sv_route_dialect(const char *path) {
    static const struct {
        const char *prefix;
        const sv_dialect *dialect;
    } habits[] = {{"/v1/", &sv_openai}, {"/openai/", &sv_openai}, {"/api/", &sv_ollama}};
    for (const sv_route *route = sv_routes; route->method; route++)
        if (path_matches(route, path))
            return route->dialect;
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        if (strncmp(path, habits[i].prefix, strlen(habits[i].prefix)) == 0)
            return habits[i].dialect;
    return &sv_tei;
}
