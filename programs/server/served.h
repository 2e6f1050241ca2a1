/* The models of a server: their names, and whether they are loaded.
 *
 * All share the batcher's threads and its queue. With `idle_unload` a model that nobody has used for that long is unloaded. The
 * next request for it opens it again, on a separate thread; that request waits, and others go on. The tokenizer, prompts and
 * sizes of a model always stay in memory. Inside of the server. */
#ifndef SV_SERVER_SERVED_H
#define SV_SERVER_SERVED_H

#include <pthread.h>

#include "server/model_space.h"
#include "server/server.h"
#include "server/token_text.h"

struct sv_exchange;
struct sv_server;

typedef struct sv_server_names {
    char items[SV_SERVER_NAMES][256]; /* the first is the server's own choice */
    size_t count;                     /* at least 1 */
} sv_server_names;

typedef struct sv_served {
    struct sv_server *server;
    sv_model_source source;
    sv_server_names names;
    senvec_model *facts;    /* tokenizer, prompts, labels: lives as long as the server; `model` itself where that does */
    senvec_model_info info; /* of when it was first open: for the space id see `space` */
    sv_token_text tokens;
    sv_model_space space;

    /* Under the lock of sv_served_list. */
    senvec_model *model; /* NULL: it isn't there */
    sv_batcher_model *place;
    size_t users;     /* exchanges that need it now */
    uint64_t used_ns; /* by the last of them */
    uint64_t requests, texts, loads, unloads;
} sv_served;

typedef struct sv_served_list {
    sv_served items[SV_SERVER_MODELS]; /* the first is meant where a request names none */
    size_t count;
    uint64_t idle_ns; /* 0: they stay */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct sv_exchange *first, **last; /* by next_done: wait for their model */
    pthread_t thread;
    bool initialized, started, stopping;
} sv_served_list;

/* Opens the models of the options, and with the first one the server's batcher; takes the names. Errors: those of the sources
 * and of sv_batcher_open; INVALID_ARGUMENT (two models have a name in common). */
senvec_status sv_served_open(struct sv_server *server, const sv_server_options *options, senvec_error *err);
/* Starts the thread that opens models and lets them go. Errors: SYSTEM. */
senvec_status sv_served_start(struct sv_server *server, senvec_error *err);
/* Ends it; what waits for a model gets it, or an error, before. */
void sv_served_stop(sv_served_list *list);
/* After the batcher was closed. A zeroed list is accepted. */
void sv_served_close(sv_served_list *list);

/* The model that `asked` is a name of, with or without ":latest" as Ollama's clients add it; *name is that name as the server
 * has it. NULL: there is none. */
sv_served *sv_served_find(struct sv_server *server, const char *asked, const char **name);
/* "'a', 'b'": a name of each, for messages. */
void sv_served_name_all(const struct sv_server *server, char *out, size_t size);

/* True: the model is there and stays until sv_served_leave. False: it has to be opened first. */
bool sv_served_use(sv_served *served);
void sv_served_leave(sv_served *served, size_t texts);
/* Opens the exchange's model on the list's thread, and then calls sv_exchange_go_on. */
void sv_served_wait(sv_served *served, struct sv_exchange *exchange);

#endif
