/* The routes: which path and method is answered by which functions, in whose habits. Inside of the server. */
#ifndef SV_SERVER_ROUTES_H
#define SV_SERVER_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "server/bytes.h"

struct sv_exchange;

/* The habits of an API, a record in its api_*.c. */
typedef struct sv_dialect {
    /* Puts the body of an error answer into `answer`, which is empty. */
    void (*write_error)(sv_bytes *answer, unsigned status, const char *message, size_t length);
} sv_dialect;

typedef struct sv_route {
    const char *method, *path; /* a path that ends in '*' stands for all that begin so */
    const sv_dialect *dialect;
    bool open;                            /* without the API key, too */
    bool embeds;                          /* work for the batcher */
    void (*begin)(struct sv_exchange *);  /* the request is complete */
    void (*finish)(struct sv_exchange *); /* the vectors are there, on a thread of the batcher; NULL where begin answers */
} sv_route;

/* The end of the table has no method. */
extern const sv_route sv_routes[];

/* The route of a request, or NULL; then *allowed is the method that the path has, NULL where there is no such path. */
const sv_route *sv_route_find(const char *method, const char *path, const char **allowed);
/* In which dialect a client that asks for `path` expects an error, whether there is such a route or not. */
const sv_dialect *sv_route_dialect(const char *path);

#endif
