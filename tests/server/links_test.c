/* The table of connections without the HTTP library, which would close what the table ends: times and counts alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/links.h"

#define MS UINT64_C(1000000)

/* A connection on loopback, since only TCP counts bytes: ends[0] is the client's. */
static void connect_pair(int ends[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[0], (struct sockaddr *)&address, size), 0);
    ends[1] = accept(listener, NULL, NULL);
    assert_true(ends[1] >= 0);
    close(listener);
}

static void on_left(struct sv_exchange *exchange) {
    (void)exchange;
}

/* Waits until the server's side has been ended. */
static bool ended(int client) {
    struct pollfd poll_socket = {.fd = client, .events = POLLIN};
    char byte;
    return poll(&poll_socket, 1, 300000) == 1 && read(client, &byte, 1) == 0;
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* However long its HTTP thread takes to close it. */
static void counted_once(void **state) {
    (void)state;
    const char *const starts[] = {"", "GE"}; /* idle; a request line that doesn't end */
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        sv_links links;
        sv_links_options options = {
            .idle_ns = (*starts[i] ? 60000 : 50) * MS, .read_ns = 50 * MS, .write_ns = 50 * MS, .on_left = on_left};
        assert_int_equal(sv_links_open(&links, &options, NULL), SENVEC_OK);
        int ends[2];
        connect_pair(ends);
        sv_link *link = sv_links_add(&links, ends[1], 0);
        assert_non_null(link);
        size_t length = *starts[i] ? 2 : 0;
        assert_int_equal(write(ends[0], starts[i], length), length);
        assert_true(ended(ends[0]));
        sleep_ms(300);
        sv_links_stop(&links);
        assert_int_equal(links.timed_out, 1);
        sv_links_remove(&links, link);
        sv_links_close(&links);
        close(ends[0]);
        close(ends[1]);
    }
}

/* All places are taken by others that send: those without a place make room for the next ones, which may ask for /health. */
static void surplus_makes_room(void **state) {
    (void)state;
    enum { PLACES = 2, COUNT = PLACES + SV_SURPLUS_LINKS / 2 + 3 };
    sv_links links;
    sv_links_options options = {
        .idle_ns = 60000 * MS, .read_ns = 60000 * MS, .write_ns = 60000 * MS, .places = PLACES, .on_left = on_left};
    assert_int_equal(sv_links_open(&links, &options, NULL), SENVEC_OK);
    int ends[COUNT][2];
    sv_link *held[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        connect_pair(ends[i]);
        held[i] = sv_links_add(&links, ends[i][1], i); /* each of another address */
        assert_non_null(held[i]);
        sv_links_enter(&links, held[i], SV_PHASE_READING, NULL);
    }
    assert_true(ended(ends[PLACES][0])); /* the first without a place, at once */
    assert_true(links.placed == PLACES && links.surplus <= SV_SURPLUS_LINKS / 2 + 1);
    sv_links_stop(&links);
    for (size_t i = 0; i < COUNT; i++) {
        sv_links_remove(&links, held[i]);
        close(ends[i][0]);
        close(ends[i][1]);
    }
    sv_links_close(&links);
}

static void fill(int client, size_t size) {
    static const char zeros[1024];
    for (size_t sent = 0; sent < size; sent += sizeof zeros)
        assert_int_equal(write(client, zeros, sizeof zeros), sizeof zeros);
}

/* Waits for a reset if there is to be one. */
static bool was_reset(int socket, bool expected) {
    struct pollfd poll_socket = {.fd = socket};
    return poll(&poll_socket, 1, expected ? 300000 : 0) == 1 && (poll_socket.revents & POLLERR);
}

/* The server closes a connection whose client is still sending: the client reads the end of the answer, not a reset. */
static void a_sender_sees_the_end(void **state) {
    (void)state;
    sv_links links;
    sv_links_options options = {.idle_ns = 60000 * MS, .read_ns = 60000 * MS, .write_ns = 60000 * MS, .on_left = on_left};
    assert_int_equal(sv_links_open(&links, &options, NULL), SENVEC_OK);
    sv_links_stop(&links); /* so that nothing is over before the client has looked */
    for (int lingers = 0; lingers < 2; lingers++) {
        int ends[2];
        char answer[8];
        connect_pair(ends);
        sv_link *link = sv_links_add(&links, ends[1], 0);
        assert_non_null(link);
        link->lingers = lingers;
        fill(ends[0], 4096);
        assert_int_equal(write(ends[1], "answer", 6), 6);
        sv_links_remove(&links, link);
        close(ends[1]);
        fill(ends[0], lingers ? 4096 : 0);
        assert_int_equal(was_reset(ends[0], !lingers), !lingers);
        if (lingers) {
            assert_int_equal(read(ends[0], answer, sizeof answer), 6);
            assert_int_equal(read(ends[0], answer, sizeof answer), 0);
        }
        close(ends[0]);
    }
    sv_links_close(&links);
}

/* Of an address that has many such connections, the oldest goes; not those of others. */
static void few_linger(void **state) {
    (void)state;
    enum { COUNT = SV_LINGERING_MOST + 10 };
    sv_lingering lingering = {.count = 0};
    int ends[COUNT][2];
    for (size_t i = 0; i < COUNT; i++) {
        connect_pair(ends[i]);
        fill(ends[i][0], 1024);
        sv_lingering_add(&lingering, ends[i][1], i > 0);
        close(ends[i][1]);
    }
    assert_int_equal(lingering.count, SV_LINGERING_MOST);
    for (size_t i = 0; i < COUNT; i++) {
        bool oldest = i > 0 && i <= COUNT - SV_LINGERING_MOST;
        assert_int_equal(was_reset(ends[i][0], oldest), oldest);
        close(ends[i][0]);
    }
    while (lingering.count > 0) /* their clients have left */
        sv_lingering_look(&lingering);
    sv_lingering_close(&lingering);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counted_once), cmocka_unit_test(surplus_makes_room),
                                       cmocka_unit_test(a_sender_sees_the_end), cmocka_unit_test(few_linger)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
