/* The HTTP server: models behind the APIs of OpenAI, text-embeddings-inference and Ollama, on one batcher.
 *
 * A server has these threads: `http_threads` that read requests and write answers and never wait for a vector (http_loop.h);
 * the batcher's; and one that looks after connections (time limits, clients that left). */
#ifndef SV_SERVER_SERVER_H
#define SV_SERVER_SERVER_H

#include <stdio.h>

#include "batcher/batcher.h"

/* Where a server listens: "http://127.0.0.1:8080", "https://[::1]:443", "unix:PATH". */
typedef struct sv_address {
    char text[256];
} sv_address;

/* Where a model comes from, and its names: answers give the first, or the one that the request has. [senvec_model_info.name] */
typedef struct sv_model_source {
    const char *const *names;
    size_t name_count; /* at most SV_SERVER_NAMES */
    /* Opens it, or with `tokenizer_only` what doesn't need its weights. Called more than once, by one thread at a time. */
    senvec_status (*open)(const void *context, bool tokenizer_only, senvec_model **out, senvec_error *err);
    const void *context;
} sv_model_source;

/* Zero or NULL means the default, in brackets. Strings are copied or used during sv_server_open only. */
typedef struct sv_server_options {
    const char *host;      /* address or name to listen on ["127.0.0.1"] */
    size_t port;           /* SIZE_MAX: any free one [8080] */
    const char *unix_path; /* a unix socket instead; one that nobody listens on is replaced */
    unsigned unix_mode;    /* its rights, whatever the umask; who may write may ask [0600] */
    int activated;         /* 1 + a socket that listens and stays its caller's, as systemd gives one [0: none] */
    const char *tls_certificate, *tls_key; /* PEM files, both or none */
    const char *api_key;                   /* asked for as "Authorization: Bearer KEY" or "api-key: KEY" [none] */
    const char *cors_origin;               /* pages of this origin may call, "*": all [none] */
    const sv_model_source *models;         /* a request that names none means the first */
    size_t model_count;                    /* 1 to SV_SERVER_MODELS */
    uint64_t idle_unload_ns; /* a model that nobody has asked for so long is let go until the next request [never] */
    const char *token_table; /* a file of tiktoken's: ids of its tokens are taken as their text [none] */
    const char *prefix;      /* "/path" that all routes may have before them [none] */
    /* "HOST:PORT" of a second place to listen on, port 0: any free one. /metrics is there alone, with /health, and needs no
     * key. [none: /metrics is where the rest is, for who has the key] */
    const char *metrics_address;
    FILE *access_log; /* one JSON line a request; the caller closes it [none] */
    const char *otlp; /* base of an OTLP collector's HTTP addresses, to which spans of traced requests are sent [none] */
    const char *otlp_service; /* whose they are: their service.name ["senvec"] */
    sv_batcher_options batcher;
    size_t http_threads;          /* [1] */
    size_t max_connections;       /* [8192]; of more, idle and slow ones give up their places, or a new one gets 503 */
    size_t max_body;              /* bytes of a request [32 MiB] */
    size_t max_memory;            /* bytes of all requests and answers together [512 MiB, or less where there is less] */
    size_t idle_s;                /* a connection without a request [75] */
    size_t read_s;                /* for a request to arrive completely [30] */
    size_t write_s;               /* for an answer to be taken completely [60] */
    struct sv_starting *starting; /* listens already, and is ended by sv_server_open in any case [none] */
    int listener;                 /* 1 + a socket that listens already, which is the server's from here on [0: none] */
    sv_address address;           /* and where */
} sv_server_options;

#define SV_SERVER_NAMES 16
#define SV_SERVER_MODELS 16
#define SV_DEFAULT_PORT 8080
#define SV_DEFAULT_CONNECTIONS 8192
#define SV_DEFAULT_BODY ((size_t)32 << 20)
#define SV_DEFAULT_CACHE ((size_t)64 << 20)
#define SV_DEFAULT_IDLE_S 75
#define SV_DEFAULT_READ_S 30
#define SV_DEFAULT_WRITE_S 60

typedef struct sv_server sv_server;

/* Opens the models, listens and serves from here on; what the sources' contexts point to must outlive the server. Errors:
 * INVALID_ARGUMENT, NOT_FOUND or IO (certificate), SYSTEM (address in use, ...), OUT_OF_MEMORY, those of the sources and of
 * sv_batcher_open. */
senvec_status sv_server_open(const sv_server_options *options, sv_server **out, senvec_error *err);
/* Where it listens: "http://127.0.0.1:8080", "https://[::1]:443", "unix:PATH". Lives as long as the server. */
const char *sv_server_address(const sv_server *server);
/* Where /metrics are, if they have an address of their own; "" otherwise. */
const char *sv_server_metrics_address(const sv_server *server);
/* Nanoseconds since the last request ended or the last connection came, or since the server was open; 0 while there is a
 * request or a connection waits to be taken. */
uint64_t sv_server_idle_ns(sv_server *server);
/* Stops listening, refuses new requests, and waits until those that were accepted are answered; at most `timeout_ns`. True:
 * all are. */
bool sv_server_drain(sv_server *server, uint64_t timeout_ns);
/* Ends everything at once; after a drain nothing is lost. NULL is accepted. */
void sv_server_close(sv_server *server);

#endif
