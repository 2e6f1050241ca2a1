/* One request and its answer, from the first header to the last byte. Inside of the server.
 *
 * An exchange is made by the HTTP library's first call for a request and freed when the library says that the request is over.
 * In between, the headers are checked and the body is collected. The route's `begin` reads the body and either answers or names
 * texts to embed and the functions `write_text` and `finish`; then the connection is suspended. While the batcher computes,
 * `write_text` writes what is there (answer_texts.h); when it is done, `finish` writes the rest of the answer and the
 * connection is resumed. Everything except these two runs on the connection's HTTP thread. */
#ifndef SV_SERVER_EXCHANGE_H
#define SV_SERVER_EXCHANGE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "common/json.h"
#include "io/vector_type.h"
#include "server/answer_texts.h"
#include "server/bytes.h"
#include "server/gunzip.h"
#include "server/routes.h"
#include "server/server_internal.h"
#include "server/trace_context.h"

typedef struct sv_exchange sv_exchange;

struct sv_exchange {
    sv_server *server;
    sv_http_loop *loop;
    struct MHD_Connection *connection;
    sv_link *link;
    sv_served *served;     /* the model that the request asks for */
    const sv_route *route; /* NULL: none has this path and method */
    const char *allowed;   /* the method that the path takes, if the request used another one; else NULL */
    char method[8], path[256], id[72];
    sv_trace_context trace;   /* an empty trace_id: the client named none */
    uint64_t address, client; /* hashes: of the peer's address; of the address and the user that the API names */
    uint64_t begin_ns, deadline_ns;
    bool begun;     /* the body is complete and was looked at */
    bool discards;  /* the body isn't needed, because the answer is known or the route takes none */
    bool suspended; /* waits for the batcher */
    bool closes;    /* the connection ends with the answer */

    /* The request. */
    sv_gunzip *gunzip; /* of the body; NULL: it comes as it is */
    sv_bytes body;
    size_t received;       /* bytes of the body */
    sv_memory_held held;   /* of the server's memory for requests */
    sv_json_index members; /* of the body; they and texts point into it */
    struct sv_kept_string *strings;
    senvec_text *texts;
    size_t count;
    size_t characters; /* bytes of the texts */
    uint32_t *lengths;
    sv_text_key *keys;            /* for the cache; NULL: none */
    char *decoded;                /* texts that had to be decoded from the body */
    const char *model;            /* the name in the answer; the server's */
    bool single;                  /* the input was one text, not a list */
    bool strict;                  /* texts that are too long are refused, not cut */
    senvec_truncation truncation; /* the side on which they are cut */
    /* The form of the vectors in the answer. */
    size_t dimensions;
    senvec_normalize normalize;
    const char *prompt;       /* before each text; NULL: the model's default */
    const char *query_prompt; /* before the last one; NULL: the same */
    senvec_embed_options options, query_options;
    sv_vector_type type;
    bool base64;
    unsigned types; /* several of them, as an API counts them */
    /* The form of ranked documents in the answer. */
    size_t top; /* the number of documents; 0: all */
    bool with_texts;
    /* For routes that compute something other than embeddings (api_tasks.c). */
    sv_request_run *run;  /* NULL: the texts are embedded */
    senvec_text query;    /* goes with each text */
    senvec_text *seconds; /* (count) or so does one of these; part of `texts` */
    senvec_activation activation;
    size_t extra_tokens;
    size_t *counts;        /* (count + 1) */
    size_t answer_numbers; /* in the answer, some 12 bytes each; 0: those of the vectors */

    /* The vectors. */
    sv_request request;
    size_t width;    /* floats of a text in the vectors */
    float *vectors;  /* (count, width); in most cases NULL before the first is computed */
    bool has_result; /* it counts among the server's results */
    /* The vector of text i is there: writes what stands for it in the answer, and with text 0 also what stands before all. On
     * threads of the batcher, several at a time. NULL: `finish` writes all. Not called for a raw answer. */
    void (*write_text)(sv_exchange *, size_t i, sv_bytes *to);
    bool raw;                       /* the answer is the vectors' bytes and nothing else */
    void (*finish)(sv_exchange *);  /* all is there, on a thread of the batcher: writes the rest of an answer that isn't raw */
    atomic_int holders;             /* threads that still work on it while it is suspended; the last gives it to its loop */
    uint64_t handed_ns, outside_ns; /* when the body was complete; what its loop then added to the time */
    sv_exchange *next_done;         /* a list of its loop, or of the large bodies */

    /* The answer. */
    unsigned status;          /* 0: none yet */
    const char *content_type; /* static */
    sv_bytes answer;
    sv_answer_texts answer_texts;
    uint64_t retry_ns;
    size_t sent; /* bytes */
};

/* Makes the answer an error in the route's dialect. The message is written for a person and says what to do. */
__attribute__((format(printf, 3, 4))) void sv_exchange_fail(sv_exchange *exchange, unsigned status, const char *format, ...);

/* request_body.c. Reserves `bytes` of the server's memory for requests until sv_exchange_drop_request; call it before
 * allocating. False: the answer is an error, 429 if other requests have the memory now, 413 if the request can never have so
 * much. */
bool sv_exchange_reserve(sv_exchange *exchange, size_t bytes);
/* Whether the memory for the vectors and the answer can ever be had; false: the answer is an error. */
bool sv_exchange_may_answer(sv_exchange *exchange);
/* Takes that memory, and `vectors` from the system, when the first of them is about to be computed; false: others have it now.
 * One request has it in any case, so that all get it in time. */
bool sv_exchange_start(sv_exchange *exchange);
/* malloc after sv_exchange_reserve; NULL: an error is the answer. `what` ends "no memory for ". */
void *sv_exchange_alloc(sv_exchange *exchange, size_t count, size_t size, const char *what);
/* The answer is 503: the system gave no memory for `what`. */
void sv_exchange_fail_memory(sv_exchange *exchange, const char *what);
/* A part of the body has come. */
void sv_exchange_take_body(sv_exchange *exchange, const char *data, size_t size);
/* Reads the body, a JSON object, into `members`, and finds the model that it names; false: an error is the answer. */
bool sv_exchange_parse(sv_exchange *exchange);
/* A NUL-terminated copy of a JSON string that lives as long as the request; NULL: an error is the answer. */
const char *sv_exchange_keep_string(sv_exchange *exchange, sv_json string);
/* Frees all but the answer, and gives back what was reserved for more than that. */
void sv_exchange_drop_request(sv_exchange *exchange);

/* When a refused client may come back, in whole milliseconds: the one number of the headers and the text. */
static inline unsigned long long sv_exchange_retry_ms(const sv_exchange *exchange) {
    return (exchange->retry_ns + 999999) / 1000000;
}

/* A request header, or NULL. */
const char *sv_exchange_header(const sv_exchange *exchange, const char *name);

/* request_head.c: reads what stands before the body, and answers already where that is enough for an error. */
void sv_exchange_read_head(sv_exchange *exchange, const char *url, const char *method, const char *version);

/* Whether the route is for the exchange's kind of model; else an error is the answer. */
bool sv_exchange_suits_model(sv_exchange *exchange);

/* answer.c: hands the answer to the HTTP library, which then owns its bytes. */
enum MHD_Result sv_exchange_send(sv_exchange *exchange);

/* Reads a large body, on the thread for them. */
void sv_exchange_read_large(sv_exchange *exchange);
/* Goes on with one that has waited for its model, on the thread for that. `used`: the model is there, and the exchange is one
 * of its users; else an error is the answer. */
void sv_exchange_go_on(sv_exchange *exchange, bool used);

/* The callbacks of the HTTP library. */
enum MHD_Result sv_exchange_handle(void *loop, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_size, void **state);
void sv_exchange_completed(void *server, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why);

#endif
