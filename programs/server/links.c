/* Why not the HTTP library's own timeout: it counts from the last byte, so a client that sends one byte a second holds its
 * place for ever. And a suspended connection isn't looked at at all, so that a client that left would be noticed when its
 * answer is written.
 *
 * A client has left if the kernel says so (reset), or if it has closed its side for LEFT_GRACE: some clients close their side
 * right after the request and still want the answer, and most answers come within that time.
 *
 * The HTTP library waits for edges: an end of the client's side that came together with data, and before that was read, gives
 * none of its own. Ending the same side here, where nothing can come any more, gives one; what was sent can still be read.
 *
 * The library doesn't tell of a request line that has begun. The kernel knows how many bytes came on a TCP connection: more
 * than there were when the last request was complete begin another one. With TLS the first of them are the handshake's, so a
 * connection must bring its first request within the time for reading. On a unix socket such a line is held for the idle time.
 */
#include "server/links.h"

#include <errno.h>
#include <linux/tcp.h> /* the C library's own lacks the count of bytes */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/condition.h"
#include "common/status.h"

#define PERIOD_NS UINT64_C(25000000)
#define LINKS_A_PERIOD 500 /* are looked at; of more, each one less often */
#define LEFT_GRACE_NS UINT64_C(250000000)
/* Most answers come before this, and watching a connection costs a system call with the table locked. It is one for the
 * connection's whole life: thousands of clients wait when there is too much to do, and asking for each of them in each period
 * took half a CPU then. */
#define FIRST_LOOK_NS UINT64_C(100000000)
/* Between two looks for an end that the HTTP library may have missed, and for the begin of a request. */
#define LOOK_NS SV_NS_PER_S
/* One that reads or writes can be ended for another address's after this; the one that is too many has so long for its request.
 */
#define SLOW_NS SV_NS_PER_S
#define DISPLACE_TRIES 16
#define SURPLUS_NS (2 * SV_NS_PER_S)

/* Asks the kernel to tell when the client ends its side or the connection; sv_links_remove takes that back. False: it can't. */
static bool watch(sv_links *links, sv_link *link) {
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = link};
    link->watched = link->watched || epoll_ctl(links->watcher, EPOLL_CTL_ADD, link->socket, &event) == 0;
    return link->watched;
}

/* Takes what the kernel tells of the watched connections. */
static void hear(sv_links *links, uint64_t now) {
    struct epoll_event events[64];
    int count;
    do {
        count = epoll_wait(links->watcher, events, 64, 0);
        for (int i = 0; i < count; i++) {
            sv_link *link = events[i].data.ptr;
            link->broken |= (events[i].events & (EPOLLERR | EPOLLHUP)) != 0;
            if (!link->left_since)
                link->left_since = now;
        }
    } while (count == 64);
}

/* Has the waiting client left? */
static bool has_left(sv_links *links, sv_link *link, uint64_t now) {
    return watch(links, link) && (link->broken || (link->left_since && now - link->left_since > LEFT_GRACE_NS));
}

/* Bytes that came on the connection; 0 where the kernel doesn't count them. */
static uint64_t received(int socket) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

/* Wakes the HTTP thread if the client has ended its side, and sees whether it has begun a request. */
static void look_now_and_then(sv_link *link, uint64_t now) {
    if (now < link->next_look)
        return;
    link->next_look = now + LOOK_NS;
    struct pollfd poll_socket = {.fd = link->socket, .events = POLLRDHUP};
    if (poll(&poll_socket, 1, 0) > 0)
        shutdown(link->socket, SHUT_RD);
    else if (link->phase == SV_PHASE_IDLE && !link->begun && received(link->socket) > link->received)
        link->begun = now;
}

static void leave_place(sv_links *links, const sv_link *link) {
    if (!link->ended)
        --*(link->surplus ? &links->surplus : &links->placed);
}

static void end(sv_links *links, sv_link *link) {
    shutdown(link->socket, SHUT_RDWR); /* its HTTP thread sees the end and closes it, later where it has much to do */
    leave_place(links, link);
    link->ended = true;
}

static void look_at(sv_links *links, sv_link *link, uint64_t now) {
    uint64_t most = UINT64_MAX, waited = now > link->since ? now - link->since : 0;
    switch (link->phase) {
    case SV_PHASE_IDLE:
        most = links->draining ? 0 : links->options.idle_ns;
        look_now_and_then(link, now);
        if (link->begun && now - link->begun >= links->options.read_ns)
            most = 0;
        break;
    case SV_PHASE_READING:
        most = links->options.read_ns;
        look_now_and_then(link, now);
        break;
    case SV_PHASE_WAITING:
        if (waited > FIRST_LOOK_NS && link->exchange && has_left(links, link, now)) {
            links->options.on_left(link->exchange);
            link->exchange = NULL;
        }
        break;
    case SV_PHASE_WRITING:
        most = links->options.write_ns;
        break;
    }
    if (link->surplus && link->phase <= SV_PHASE_READING && most > SURPLUS_NS)
        most = SURPLUS_NS;
    if (waited < most || link->ended)
        return;
    links->timed_out += !links->draining;
    end(links, link);
}

static void *look_after(void *context) {
    sv_links *links = context;
    pthread_mutex_lock(&links->lock);
    while (!links->stopping) {
        uint64_t now = sv_clock_ns(), then = now + PERIOD_NS * (1 + links->count / LINKS_A_PERIOD);
        hear(links, now);
        for (sv_link *link = links->first.next; link != &links->first; link = link->next)
            look_at(links, link, now);
        sv_lingering_look(&links->lingering);
        sv_condition_wait(&links->changed, &links->lock, then);
    }
    pthread_mutex_unlock(&links->lock);
    return NULL;
}

senvec_status sv_links_open(sv_links *links, const sv_links_options *options, senvec_error *err) {
    *links = (sv_links){.options = *options};
    links->first.previous = links->first.next = &links->first;
    pthread_mutex_init(&links->lock, NULL);
    sv_condition_init(&links->changed);
    links->watcher = epoll_create1(EPOLL_CLOEXEC);
    int error = links->watcher < 0 ? errno : pthread_create(&links->thread, NULL, look_after, links);
    if (error) {
        sv_links_close(links);
        return sv_fail(err, SENVEC_SYSTEM, 0, "starting the thread that looks after connections failed: %s", strerror(error));
    }
    links->started = true;
    return SENVEC_OK;
}

void sv_links_stop(sv_links *links) {
    if (!links->started)
        return;
    pthread_mutex_lock(&links->lock);
    links->stopping = true;
    pthread_cond_broadcast(&links->changed);
    pthread_mutex_unlock(&links->lock);
    pthread_join(links->thread, NULL);
    links->started = false;
}

void sv_links_close(sv_links *links) {
    if (!links->first.next)
        return;
    sv_links_stop(links);
    sv_lingering_close(&links->lingering);
    if (links->watcher >= 0)
        close(links->watcher);
    pthread_cond_destroy(&links->changed);
    pthread_mutex_destroy(&links->lock);
    *links = (sv_links){0};
}

/* ----------------------------------------------------------------- places */

static size_t *share_of(sv_links *links, const sv_link *link) {
    return &links->shares[link->address % SV_LINK_SHARES];
}

/* May it be ended for `newcomer`? Idle ones lose nothing, and one without a place had its time when as many others came after
 * it as there are surplus places. Of the address that holds more than the newcomer's, also one that has been sending or reading
 * for long; nobody's answer that is being computed. */
static bool can_go(sv_links *links, const sv_link *link, const sv_link *newcomer, uint64_t now) {
    if (link->ended || link->phase == SV_PHASE_WAITING)
        return false;
    return link->phase == SV_PHASE_IDLE || link->surplus ||
           (now - link->since > SLOW_NS && *share_of(links, link) > *share_of(links, newcomer) + 1);
}

/* Is `a` rather to go than `b`: of the address that has more, idle, or so for longer? */
static bool goes_before(sv_links *links, const sv_link *a, const sv_link *b) {
    size_t share_a = *share_of(links, a), share_b = *share_of(links, b);
    bool idle_a = a->phase == SV_PHASE_IDLE, idle_b = b->phase == SV_PHASE_IDLE;
    return share_a != share_b ? share_a > share_b : idle_a != idle_b ? idle_a : a->since < b->since;
}

static sv_link *choose(sv_links *links, bool surplus, const sv_link *newcomer, uint64_t now) {
    sv_link *chosen = NULL;
    for (sv_link *link = links->first.next; link != &links->first; link = link->next)
        if (link->surplus == surplus && can_go(links, link, newcomer, now) && (!chosen || goes_before(links, link, chosen)))
            chosen = link;
    return chosen;
}

/* Ends one with a place, or one without, for `newcomer`. False: none can go. An idle one whose next request has come, and is to
 * be read, isn't idle any more. */
static bool displace(sv_links *links, bool surplus, const sv_link *newcomer) {
    uint64_t now = sv_clock_ns();
    for (int tries = 0; tries < DISPLACE_TRIES; tries++) {
        sv_link *link = choose(links, surplus, newcomer, now);
        if (!link)
            return false;
        struct pollfd poll_socket = {.fd = link->socket, .events = POLLIN | POLLRDHUP};
        if (link->phase == SV_PHASE_IDLE && poll(&poll_socket, 1, 0) > 0 && poll_socket.revents == POLLIN) {
            link->since = now; /* the last to be tried again */
            continue;
        }
        links->displaced++;
        end(links, link);
        return true;
    }
    return false;
}

/* For a link that isn't in the ring yet. */
static void find_place(sv_links *links, sv_link *newcomer) {
    size_t places = links->options.places;
    newcomer->surplus = places && links->placed >= places && !displace(links, false, newcomer);
    if (newcomer->surplus && links->surplus >= SV_SURPLUS_LINKS / 2)
        displace(links, true, newcomer);
    ++*(newcomer->surplus ? &links->surplus : &links->placed);
}

bool sv_links_has_place(sv_links *links, sv_link *link) {
    pthread_mutex_lock(&links->lock);
    if (link->surplus && !link->ended && links->placed < links->options.places) {
        link->surplus = false;
        links->surplus--;
        links->placed++;
    }
    bool has = !link->surplus;
    pthread_mutex_unlock(&links->lock);
    return has;
}

/* ------------------------------------------------------------------- life */

sv_link *sv_links_add(sv_links *links, int socket, uint64_t address) {
    sv_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->socket = socket;
    link->address = address;
    link->since = sv_clock_ns();
    link->next_look = link->since + LOOK_NS;
    pthread_mutex_lock(&links->lock);
    ++*share_of(links, link);
    find_place(links, link);
    link->previous = &links->first;
    link->next = links->first.next;
    link->next->previous = links->first.next = link;
    links->count++;
    pthread_mutex_unlock(&links->lock);
    return link;
}

void sv_links_remove(sv_links *links, sv_link *link) {
    pthread_mutex_lock(&links->lock);
    link->previous->next = link->next;
    link->next->previous = link->previous;
    links->count--;
    leave_place(links, link);
    --*share_of(links, link);
    if (link->watched)
        epoll_ctl(links->watcher, EPOLL_CTL_DEL, link->socket, NULL);
    if (link->lingers && !link->ended)
        sv_lingering_add(&links->lingering, link->socket, link->address);
    links->busy -= link->phase != SV_PHASE_IDLE;
    if (links->draining)
        pthread_cond_broadcast(&links->changed);
    pthread_mutex_unlock(&links->lock);
    free(link);
}

void sv_links_enter(sv_links *links, sv_link *link, sv_phase phase, struct sv_exchange *exchange) {
    uint64_t now = sv_clock_ns(), bytes = link->phase == SV_PHASE_READING ? received(link->socket) : link->received;
    pthread_mutex_lock(&links->lock);
    links->busy += (phase != SV_PHASE_IDLE) - (link->phase != SV_PHASE_IDLE);
    link->phase = phase;
    link->since = phase == SV_PHASE_READING && link->begun ? link->begun : now;
    link->begun = 0;
    link->left_since = link->left_since ? now : 0;
    link->received = bytes;
    link->next_look = now + LOOK_NS;
    link->exchange = exchange;
    if (links->draining)
        pthread_cond_broadcast(&links->changed);
    pthread_mutex_unlock(&links->lock);
}

bool sv_links_drain(sv_links *links, uint64_t until) {
    pthread_mutex_lock(&links->lock);
    links->draining = true;
    pthread_cond_broadcast(&links->changed);
    while (links->busy > 0 && sv_clock_ns() < until)
        sv_condition_wait(&links->changed, &links->lock, until);
    bool all_idle = links->busy == 0;
    pthread_mutex_unlock(&links->lock);
    return all_idle;
}
