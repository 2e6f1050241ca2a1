/* The routes, in one table. */
#include "server/routes.h"

#include <string.h>

#include "server/apis.h"

extern const char sv_openapi_json[], sv_try_page[];
extern const size_t sv_openapi_json_size, sv_try_page_size;

static void metrics(sv_exchange *exchange) {
    const char *accept = sv_exchange_header(exchange, "Accept");
    const bool openmetrics = accept && strcasestr(accept, "application/openmetrics-text");
    exchange->status = 200;
    exchange->content_type =
        openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
    sv_server_metrics_write(exchange->server, openmetrics, &exchange->answer);
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

enum {
    EMBEDS = SV_ROUTE_WORKS | SV_ROUTE_EMBEDDER,
    RANKS = SV_ROUTE_WORKS | SV_ROUTE_EMBEDDER | SV_ROUTE_RERANKER,
    LABELS = SV_ROUTE_WORKS | SV_ROUTE_RERANKER | SV_ROUTE_CLASSIFIER,
    SPARSE = SV_ROUTE_WORKS | SV_ROUTE_SPARSE,
};

const sv_route sv_routes[] = {
    {"POST", "/v1/embeddings", &sv_openai, EMBEDS, sv_openai_begin},
    {"POST", "/embeddings", &sv_openai, EMBEDS, sv_openai_begin},
    {"POST", "/openai/deployments/*/embeddings", &sv_openai, EMBEDS, sv_openai_begin},
    {"POST", "/openai/v1/embeddings", &sv_openai, EMBEDS, sv_openai_begin},
    {"GET", "/v1/models", &sv_openai, SV_ROUTE_ASKS, sv_openai_models},
    {"GET", "/models", &sv_openai, SV_ROUTE_ASKS, sv_openai_models},
    {"GET", "/openai/v1/models", &sv_openai, SV_ROUTE_ASKS, sv_openai_models},
    {"GET", "/v1/models/*", &sv_openai, SV_ROUTE_ASKS, sv_openai_model},
    {"GET", "/models/*", &sv_openai, SV_ROUTE_ASKS, sv_openai_model},
    {"POST", "/embed", &sv_tei, EMBEDS, sv_tei_embed_begin},
    {"POST", "/", &sv_tei, EMBEDS, sv_tei_root_begin},
    {"POST", "/similarity", &sv_tei, EMBEDS, sv_tei_similarity_begin},
    {"POST", "/tokenize", &sv_tei, SV_ROUTE_ASKS, sv_tei_tokenize},
    {"GET", "/info", &sv_tei, SV_ROUTE_ASKS, sv_tei_info},
    {"GET", "/health", &sv_tei, SV_ROUTE_OPEN, sv_tei_health},
    {"GET", "/ping", &sv_tei, SV_ROUTE_OPEN, sv_tei_health},
    {"POST", "/rerank", &sv_tei, RANKS, sv_tei_rerank_begin},
    {"POST", "/decode", &sv_tei, SV_ROUTE_ASKS, sv_tei_decode},
    {"POST", "/embed_all", &sv_tei, EMBEDS, sv_tei_embed_all},
    {"POST", "/embed_sparse", &sv_tei, SPARSE, sv_tei_embed_sparse},
    {"POST", "/predict", &sv_tei, LABELS, sv_tei_predict},
    {"POST", "/v1/rerank", &sv_cohere, RANKS, sv_rerank_begin},
    {"POST", "/v2/rerank", &sv_cohere, RANKS, sv_rerank_begin},
    {"POST", "/v1/embed", &sv_cohere, EMBEDS, sv_cohere_embed_v1_begin},
    {"POST", "/v2/embed", &sv_cohere, EMBEDS, sv_cohere_embed_v2_begin},
    {"POST", "/vectors", &sv_ollama, EMBEDS, sv_weaviate_vectors_begin},
    {"GET", "/.well-known/ready", &sv_ollama, SV_ROUTE_OPEN, sv_weaviate_ready},
    {"GET", "/.well-known/live", &sv_ollama, SV_ROUTE_OPEN, sv_weaviate_ready},
    {"GET", "/meta", &sv_ollama, SV_ROUTE_ASKS, sv_weaviate_meta},
    {"POST", "/api/embed", &sv_ollama, EMBEDS, sv_ollama_embed_begin},
    {"POST", "/api/embeddings", &sv_ollama, EMBEDS, sv_ollama_embeddings_begin},
    {"GET", "/api/tags", &sv_ollama, SV_ROUTE_ASKS, sv_ollama_tags},
    {"GET", "/api/ps", &sv_ollama, SV_ROUTE_ASKS, sv_ollama_ps},
    {"POST", "/api/show", &sv_ollama, SV_ROUTE_ASKS, sv_ollama_show},
    {"POST", "/api/pull", &sv_ollama, SV_ROUTE_ASKS, sv_ollama_pull},
    {"GET", "/api/version", &sv_ollama, SV_ROUTE_ASKS, sv_ollama_version},
    {"GET", "/metrics", &sv_tei, SV_ROUTE_OPEN, metrics},
    {"GET", "/openapi.json", &sv_openai, SV_ROUTE_OPEN, openapi},
    {"GET", "/", &sv_openai, SV_ROUTE_OPEN, page},
    {0},
};
_Static_assert(sizeof sv_routes / sizeof sv_routes[0] <= SV_METRIC_ROUTES, "each route is counted");

static bool path_matches(const sv_route *route, const char *path) {
    const char *star = strchr(route->path, '*');
    if (!star)
        return strcmp(route->path, path) == 0;
    size_t before = (size_t)(star - route->path), behind = strlen(star + 1), length = strlen(path);
    return length > before + behind && strncmp(route->path, path, before) == 0 && strcmp(path + length - behind, star + 1) == 0;
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

bool sv_route_is_metrics(const sv_route *route) {
    return route->begin == metrics;
}

bool sv_route_takes_body(const sv_route *route) {
    return strcmp(route->method, "POST") == 0;
}

const sv_dialect *sv_route_dialect(const char *path) {
    static const struct {
        const char *prefix;
        const sv_dialect *dialect;
    } habits[] = {{"/v1/", &sv_openai}, {"/v2/", &sv_cohere}, {"/openai/", &sv_openai}, {"/api/", &sv_ollama}};
    for (const sv_route *route = sv_routes; route->method; route++)
        if (path_matches(route, path))
            return route->dialect;
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        if (strncmp(path, habits[i].prefix, strlen(habits[i].prefix)) == 0)
            return habits[i].dialect;
    return &sv_tei;
}
