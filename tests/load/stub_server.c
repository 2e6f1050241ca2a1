/* A server whose delays are known, for judging a load generator:
 *
 *     stub_server [--delay fixed:MS|uniform:MS:MS|exponential:MS] [--stall AT:FOR_S] [--fault KIND:EVERY] [--seed N]
 *                 [--log FILE]
 *
 * Prints the port it listens on (127.0.0.1) and serves until its standard input ends. Every request is answered after a delay
 * of its own, drawn from the distribution however many others wait, so the percentiles of the delay are those of the formula.
 * During the stall, which begins with request AT, nothing is answered; what was due is answered at its end. Of EVERY requests
 * one meets the fault: status 429, 500 or 400, "close" (the connection is closed instead of an answer), "cut" (in the middle of
 * one), "garbage" (bytes that are no HTTP), "body" (HTTP whose body is no answer), "hang" (nothing), "exit" (the server ends).
 *
 * An answer has vectors of three numbers in the form of the request's path (OpenAI, TEI, Ollama), one for each of its texts.
 * "Connection: close" is obeyed. The log has the drawn delays in ms, one a line, at once. One thread: with epoll and a heap of
 * due times it holds some 50,000 requests a second. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "stats/random.h"

enum { MAX_CONNECTIONS = 4096, MAX_REQUEST = 1 << 20, MAX_EVENTS = 256 };

typedef enum delay_kind { FIXED, UNIFORM, EXPONENTIAL } delay_kind;

static struct {
    delay_kind kind;
    double low_ms, high_ms; /* low: the mean, of an exponential one */
    unsigned long stall_at;
    double stall_for_s;
    char fault[16];
    unsigned long fault_every;
    uint64_t seed;
    FILE *log;
} options = {.seed = 1};

typedef struct connection {
    int descriptor; /* -1: free */
    char *request;  /* [filled], of MAX_REQUEST */
    size_t filled;
    char *answer;
    size_t answer_length;
    bool close_after, waiting;
    uint64_t due_ns;
} connection;

static connection connections[MAX_CONNECTIONS];
static connection *heap[MAX_CONNECTIONS]; /* waiting ones, the first due on top */
static size_t heap_count;
static uint64_t requests, stall_ns; /* when it began; 0: it has not */
static sv_random random_source;
static int poller;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void heap_push(connection *c) {
    size_t i = heap_count++;
    for (; i > 0 && heap[(i - 1) / 2]->due_ns > c->due_ns; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = c;
}

static connection *heap_pop(void) {
    connection *top = heap[0], *last = heap[--heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < heap_count && heap[child + 1]->due_ns < heap[child]->due_ns)
            child++;
        if (child >= heap_count || heap[child]->due_ns >= last->due_ns)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static void drop(connection *c) {
    if (c->descriptor >= 0)
        close(c->descriptor);
    c->descriptor = -1;
    c->filled = 0;
    free(c->answer);
    c->answer = NULL;
}

static double draw_delay_ms(void) {
    double uniform = sv_random_unit(&random_source);
    if (options.kind == FIXED)
        return options.low_ms;
    if (options.kind == UNIFORM)
        return options.low_ms + uniform * (options.high_ms - options.low_ms);
    return -options.low_ms * log(uniform);
}

static void set_answer(connection *c, int status, const char *body, size_t body_length) {
    char head[200];
    int head_length =
        snprintf(head, sizeof head, "HTTP/1.1 %d Stub\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s%s\r\n",
                 status, body_length, status == 429 ? "Retry-After: 1\r\n" : "", c->close_after ? "Connection: close\r\n" : "");
    c->answer = malloc((size_t)head_length + body_length);
    if (!c->answer)
        fail("malloc");
    memcpy(c->answer, head, (size_t)head_length);
    memcpy(c->answer + head_length, body, body_length);
    c->answer_length = (size_t)head_length + body_length;
}

/* How many texts the body has; 0: it is no request that we know. */
static size_t count_texts(const char *body, size_t length) {
    json_t *root = json_loadb(body, length, JSON_ALLOW_NUL, NULL);
    json_t *input = json_object_get(root, "input");
    if (!input)
        input = json_object_get(root, "inputs");
    size_t count = json_is_array(input) ? json_array_size(input) : json_is_string(input);
    json_decref(root);
    return count;
}

static void make_answer(connection *c, const char *path, const char *body, size_t body_length) {
    size_t texts = count_texts(body, body_length);
    bool openai = strncmp(path, "/v1/", 4) == 0, ollama = strncmp(path, "/api/", 5) == 0;
    bool base64 = memmem(body, body_length, "base64", 6) != NULL;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (!stream)
        fail("open_memstream");
    fputs(openai ? "{\"object\":\"list\",\"data\":[" : ollama ? "{\"embeddings\":[" : "[", stream);
    for (size_t i = 0; i < texts; i++) {
        if (openai)
            fprintf(stream, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":%s}", i ? "," : "", i,
                    base64 ? "\"AACAPwAAAAAAAAAA\"" : "[1,0,0]");
        else
            fprintf(stream, "%s[1,0,0]", i ? "," : "");
    }
    fputs(openai || ollama ? "]}" : "]", stream);
    if (fclose(stream) != 0)
        fail("memstream");
    if (texts == 0)
        set_answer(c, 400, "{\"error\":\"no input\"}", 20);
    else
        set_answer(c, 200, text, length);
    free(text);
}

/* The answer of the fault, if this request meets it; false: none. */
static bool meet_fault(connection *c) {
    if (!options.fault_every || requests % options.fault_every != 0)
        return false;
    const char *fault = options.fault;
    if (strcmp(fault, "exit") == 0)
        exit(0);
    if (atoi(fault) > 0)
        set_answer(c, atoi(fault), "{\"error\":\"as asked\"}", 20);
    else if (strcmp(fault, "garbage") == 0)
        c->answer = strdup("220 stub ESMTP\r\n\r\n"), c->answer_length = 18, c->close_after = true;
    else if (strcmp(fault, "cut") == 0)
        c->answer = strdup("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[[1,"), c->answer_length = 43, c->close_after = true;
    else if (strcmp(fault, "body") == 0)
        set_answer(c, 200, "[[1,0,0],", 9);
    else
        c->answer = NULL, c->answer_length = 0, c->close_after = true; /* close, hang */
    return true;
}

/* Takes a request that is complete: its answer is put together and waits until it is due. */
static void take_request(connection *c) {
    char *end = memmem(c->request, c->filled, "\r\n\r\n", 4);
    if (!end || c->waiting)
        return;
    *end = '\0';
    size_t head_length = (size_t)(end - c->request) + 4;
    const char *field = strcasestr(c->request, "\r\ncontent-length:");
    size_t body_length = field ? strtoul(field + 17, NULL, 10) : 0;
    if (head_length + body_length > MAX_REQUEST) {
        drop(c);
        return;
    }
    if (c->filled < head_length + body_length) {
        *end = '\r';
        return;
    }
    uint64_t now = sv_clock_ns();
    if (++requests == options.stall_at)
        stall_ns = now;
    c->close_after = strcasestr(c->request, "\r\nconnection: close") != NULL;
    char *path = strchr(c->request, ' ');
    if (!meet_fault(c))
        make_answer(c, path ? path + 1 : "", c->request + head_length, body_length);
    else if (strcmp(options.fault, "hang") == 0)
        return;
    c->filled -= head_length + body_length;
    memmove(c->request, c->request + head_length + body_length, c->filled);
    double delay_ms = draw_delay_ms();
    if (options.log)
        fprintf(options.log, "%.6f\n", delay_ms);
    c->due_ns = now + (uint64_t)(delay_ms * 1e6);
    uint64_t stall_end = stall_ns + (uint64_t)(options.stall_for_s * 1e9);
    if (stall_ns > 0 && c->due_ns < stall_end)
        c->due_ns = stall_end;
    c->waiting = true;
    heap_push(c);
}

static void answer(connection *c) {
    c->waiting = false;
    if (c->descriptor < 0)
        return;
    for (size_t sent = 0; sent < c->answer_length;) {
        ssize_t wrote = send(c->descriptor, c->answer + sent, c->answer_length - sent, MSG_NOSIGNAL);
        if (wrote <= 0)
            break; /* the answers are small: a full buffer is a reader who went away */
        sent += (size_t)wrote;
    }
    free(c->answer);
    c->answer = NULL;
    if (c->close_after)
        drop(c);
    else
        take_request(c);
}

static void receive(connection *c) {
    ssize_t got = recv(c->descriptor, c->request + c->filled, MAX_REQUEST - c->filled, 0);
    if (got > 0) {
        c->filled += (size_t)got;
        take_request(c);
    } else if (got == 0 || errno != EAGAIN) {
        drop(c);
    }
}

static void accept_all(int listener) {
    int descriptor;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        connection *c = connections;
        while (c < connections + MAX_CONNECTIONS && (c->descriptor >= 0 || c->waiting))
            c++;
        if (c == connections + MAX_CONNECTIONS) {
            close(descriptor);
            continue;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (!c->request)
            c->request = malloc(MAX_REQUEST);
        if (!c->request)
            fail("malloc");
        c->descriptor = descriptor;
        c->filled = 0;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0)
            fail("epoll_ctl");
    }
}

static void parse_options(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--delay") == 0) {
            options.kind = value[0] == 'f' ? FIXED : value[0] == 'u' ? UNIFORM : EXPONENTIAL;
            if (sscanf(value, "%*[a-z]:%lf:%lf", &options.low_ms, &options.high_ms) < 1)
                exit(2);
        } else if (strcmp(name, "--stall") == 0 && sscanf(value, "%lu:%lf", &options.stall_at, &options.stall_for_s) == 2) {
        } else if (strcmp(name, "--fault") == 0 && sscanf(value, "%15[a-z0-9]:%lu", options.fault, &options.fault_every) == 2) {
        } else if (strcmp(name, "--log") == 0) {
            options.log = fopen(value, "w");
            if (!options.log)
                fail(value);
            setvbuf(options.log, NULL, _IOLBF, 0);
        } else if (strcmp(name, "--seed") == 0) {
            options.seed = strtoul(value, NULL, 10);
        } else {
            exit(2);
        }
    }
}

static int listen_locally(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("listening");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    sv_random_seed(&random_source, options.seed);
    prctl(PR_SET_TIMERSLACK, 1L);
    sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1}); /* where it may: delays as they were drawn */
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        connections[i].descriptor = -1;
    poller = epoll_create1(0);
    int listener = listen_locally();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, input = {.events = EPOLLIN, .data.ptr = &poller};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
        fail("epoll");
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &input); /* refused for a file, which needs no watching */
    for (;;) {
        uint64_t now = sv_clock_ns();
        while (heap_count > 0 && heap[0]->due_ns <= now)
            answer(heap_pop());
        int64_t left = heap_count > 0 ? (int64_t)(heap[0]->due_ns - now) : (int64_t)SV_NS_PER_S;
        struct timespec timeout = {.tv_sec = left / (int64_t)SV_NS_PER_S, .tv_nsec = left % (int64_t)SV_NS_PER_S};
        struct epoll_event events[MAX_EVENTS];
        int count = epoll_pwait2(poller, events, MAX_EVENTS, &timeout, NULL);
        for (int i = 0; i < count; i++) {
            char ignored[64];
            if (events[i].data.ptr == NULL)
                accept_all(listener);
            else if (events[i].data.ptr != &poller)
                receive(events[i].data.ptr);
            else if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
                return 0;
        }
    }
}
