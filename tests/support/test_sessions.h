/* Sessions for tests. Include after cmocka.h; a step that fails ends the test. */
#ifndef TESTS_SUPPORT_TEST_SESSIONS_H
#define TESTS_SUPPORT_TEST_SESSIONS_H

#include "senvec.h"

/* A session of `model` with `threads` threads, for senvec_session_free. */
static inline senvec_session *test_open_session(const senvec_model *model, size_t threads) {
    senvec_session *session;
    senvec_error err;
    if (senvec_session_open(model, &(senvec_session_options){.threads = threads}, &session, &err) != SENVEC_OK)
        fail_msg("%s", err.message);
    return session;
}

#endif
