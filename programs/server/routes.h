/* The routes: the functions that answer each path and method, and the dialect of the answers. Inside of the server. */
#ifndef SV_SERVER_ROUTES_H
#define SV_SERVER_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "senvec.h"
#include "server/bytes.h"

struct sv_exchange;

/* The dialect of an API, a record in its api_*.c. */
typedef struct sv_dialect {
    /* Puts the body of an error answer into `answer`, which is empty. */
    void (*write_error)(sv_bytes *answer, unsigned status, const char *message, size_t length);
} sv_dialect;

typedef enum sv_route_use {
    SV_ROUTE_ASKS = 0,
    SV_ROUTE_OPEN = 1,  /* without the API key, too */
    SV_ROUTE_WORKS = 2, /* work for the batcher */
    /* For models of a kind: 4 << senvec_task. Of several, any will do. */
    SV_ROUTE_EMBEDDER = 4 << SENVEC_TASK_EMBEDDING,
    SV_ROUTE_RERANKER = 4 << SENVEC_TASK_RERANKER,
    SV_ROUTE_CLASSIFIER = 4 << SENVEC_TASK_CLASSIFIER,
    SV_ROUTE_SPARSE = 4 << SENVEC_TASK_SPARSE,
} sv_route_use;

typedef struct sv_route {
    const char *method, *path; /* a '*' stands for one or more characters */
    const sv_dialect *dialect;
    unsigned use;                        /* of sv_route_use */
    void (*begin)(struct sv_exchange *); /* the request is complete: answers, or names texts and sets `finish` */
} sv_route;

/* The end of the table has no method. */
extern const sv_route sv_routes[];

/* The route of a request, or NULL; then *allowed is the method that the path has, NULL where there is no such path. */
const sv_route *sv_route_find(const char *method, const char *path, const char **allowed);
/* /metrics, which has an address of its own or else needs the key. */
bool sv_route_is_metrics(const sv_route *route);
/* Whether a request may have a body that means something. */
bool sv_route_takes_body(const sv_route *route);
/* The dialect in which a client of `path` expects an error, whether the route exists or not. */
const sv_dialect *sv_route_dialect(const char *path);

#endif
