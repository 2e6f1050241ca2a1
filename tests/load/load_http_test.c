/* Addresses, HTTP answers and the forms of requests: everything of the transport that needs no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/http_answer.h"
#include "http/url.h"
#include "loadgen/load_dialect.h"

static void test_url(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *port, *path;
    } right[] = {
        {"http://localhost", "localhost", "80", "/"},
        {"http://127.0.0.1:8080/", "127.0.0.1", "8080", "/"},
        {"http://[::1]:99/v1/embeddings", "::1", "99", "/v1/embeddings"},
        {"http://[::1]", "::1", "80", "/"},
        {"http://a.b?x=1#top", "a.b", "80", "/?x=1"},
    };
    static const char *const wrong[] = {
        "",          "localhost:80",   "https://a",      "ftp://a",         "http://",    "http://:80",
        "http://a:", "http://a:0",     "http://a:65536", "http://a:80x",    "http://a b", "http://a/\r\nX: y",
        "http://[a", "http://[::1]80", "http://u@a",     "http://a:123456",
    };
    sv_url url;
    senvec_error err;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(sv_url_parse(right[i].text, &url, &err), SENVEC_OK);
        assert_string_equal(url.host, right[i].host);
        assert_string_equal(url.port, right[i].port);
        assert_string_equal(url.path, right[i].path);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (sv_url_parse(wrong[i], &url, &err) != SENVEC_INVALID_ARGUMENT)
            fail_msg("'%s' was taken", wrong[i]);
    char text[3000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "http://", 7);
    assert_int_equal(sv_url_parse(text, &url, &err), SENVEC_INVALID_ARGUMENT);
    memcpy(text, "http://a/", 9);
    assert_int_equal(sv_url_parse(text, &url, &err), SENVEC_INVALID_ARGUMENT);
}

/* Every prefix of the answer is incomplete (in a block of its own, so that a checker sees a read beyond it); the whole is
 * complete, in one piece and byte by byte. */
static void check_right(const char *text, bool until_end, unsigned status, const char *body, bool keep_alive) {
    size_t length = strlen(text);
    for (size_t n = 0; n <= length; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, text, n);
        sv_http_answer answer = {0};
        sv_http_state state = sv_http_answer_read(&answer, copy, n, false);
        if (n < length || until_end)
            assert_int_equal(state, SV_HTTP_MORE);
        else
            assert_int_equal(state, SV_HTTP_COMPLETE);
        free(copy);
    }
    char *growing = malloc(length + 1);
    sv_http_answer answer = {0};
    sv_http_state state = SV_HTTP_MORE;
    for (size_t n = 1; n <= length; n++) {
        growing[n - 1] = text[n - 1];
        assert_int_equal(state, SV_HTTP_MORE);
        state = sv_http_answer_read(&answer, growing, n, false);
    }
    if (until_end)
        state = sv_http_answer_read(&answer, growing, length, true);
    assert_int_equal(state, SV_HTTP_COMPLETE);
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.keep_alive, keep_alive);
    assert_int_equal(answer.position, length);
    assert_int_equal(answer.body_length, strlen(body));
    assert_memory_equal(growing + answer.body, body, strlen(body));
    free(growing);
}

static void test_right_answers(void **state) {
    (void)state;
    check_right("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", false, 200, "[]", true);
    check_right("HTTP/1.1 200\r\ncontent-length:\t0 \r\n\r\n", false, 200, "", true);
    check_right("HTTP/1.1 429 Too Many\r\nContent-Length: 1\r\nConnection: Close\r\n\r\nx", false, 429, "x", false);
    check_right("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 200, "x", false);
    check_right("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", false, 200, "x", true);
    check_right("HTTP/1.1 204 No\r\n\r\n", false, 204, "", true);
    check_right("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 200, "x", true);
    check_right("HTTP/1.1 200 OK\r\n\r\nall of it", true, 200, "all of it", false);
    check_right("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", false, 200,
                "abc0123456789", true);
    check_right("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n000\r\nTrailer: x\r\n\r\n", false, 200, "a",
                true);
}

static void test_wrong_answers(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "220 mail.example ESMTP\r\n\r\n",
        "\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 999 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t length = strlen(wrong[i]);
        char *copy = malloc(length);
        memcpy(copy, wrong[i], length);
        sv_http_answer answer = {0};
        if (sv_http_answer_read(&answer, copy, length, false) != SV_HTTP_BAD)
            fail_msg("taken: %s", wrong[i]);
        free(copy);
    }
    /* A head without an end. */
    size_t length = 100000;
    char *endless = malloc(length);
    memset(endless, 'a', length);
    memcpy(endless, "HTTP/1.1 200 OK\r\nA: ", 20);
    sv_http_answer answer = {0};
    assert_int_equal(sv_http_answer_read(&answer, endless, length, false), SV_HTTP_BAD);
    free(endless);
}

static void test_forms(void **state) {
    (void)state;
    static const struct {
        sv_load_dialect dialect;
        size_t texts;
        const char *body;
        bool right;
    } cases[] = {
        {SV_LOAD_DIALECT_OPENAI, 2, "{\"data\":[{\"index\":0,\"embedding\":[1,2.5]},{\"index\":1,\"embedding\":[3,4]}]}", true},
        {SV_LOAD_DIALECT_OPENAI, 1, "{\"data\":[{\"index\":1,\"embedding\":[1]}]}", false},
        {SV_LOAD_DIALECT_OPENAI, 1, "{\"data\":[{\"embedding\":[1]}]}", false},
        {SV_LOAD_DIALECT_OPENAI, 2, "{\"data\":[{\"index\":0,\"embedding\":[1]}]}", false},
        {SV_LOAD_DIALECT_OPENAI, 1, "{\"data\":[{\"index\":0,\"embedding\":\"AACAPw==\"}]}", false},
        {SV_LOAD_DIALECT_OPENAI_BASE64, 1, "{\"data\":[{\"index\":0,\"embedding\":\"AACAPw==\"}]}", true},
        {SV_LOAD_DIALECT_OPENAI, 1, "{\"error\":\"x\"}", false},
        {SV_LOAD_DIALECT_TEI, 2, "[[1,2],[3,4]]", true},
        {SV_LOAD_DIALECT_TEI, 2, "[[1,2],[3]]", false},
        {SV_LOAD_DIALECT_TEI, 1, "[[null]]", false},
        {SV_LOAD_DIALECT_TEI, 1, "[[]]", false},
        {SV_LOAD_DIALECT_TEI, 1, "[[1", false},
        {SV_LOAD_DIALECT_OLLAMA, 1, "{\"embeddings\":[[1,2]]}", true},
        {SV_LOAD_DIALECT_OLLAMA, 1, "[[1,2]]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = "unset";
        bool right = sv_load_dialect_check(cases[i].dialect, cases[i].body, strlen(cases[i].body), cases[i].texts, &why);
        if (right != cases[i].right || right == (why != NULL))
            fail_msg("case %zu", i);
    }
    char head[100];
    assert_true(sv_load_dialect_head(SV_LOAD_DIALECT_OPENAI, "\"m\"", head, sizeof head) > 0);
    assert_int_equal(sv_load_dialect_head(SV_LOAD_DIALECT_OPENAI, "\"m\"", head, 10), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_right_answers),
        cmocka_unit_test(test_wrong_answers),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
